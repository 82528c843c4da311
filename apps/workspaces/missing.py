"""Something that does not exist, or not for the one who asks: the answer is the same."""

from django.http import Http404


class NotFound(Http404):
    """No such object in what the asker can see. `what` names it for the log."""

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no {what}.")
