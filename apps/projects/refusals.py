"""Why something of a project is not changed."""

from apps.ops.refusal import Refusal


class Archived(Refusal):
    """It was put away; it can be read, and taken back."""

    status = 409
    code = "archived"
    title = "It is archived"
