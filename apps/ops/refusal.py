"""What a service refuses to do, in a form that the API, a page and a command can show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One reason of a refusal: its place, what is wrong, and the mend."""

    place: str
    message: str
    mend: str

    def as_dict(self) -> dict[str, str]:
        return {"place": self.place, "message": self.message, "mend": self.mend}


class Refusal(Exception):
    """A request that cannot be fulfilled as it stands; lists every reason at once.

    `status` is the HTTP status that the API answers with, `code` the stable name of the kind of refusal, `members` what
    the answer says besides (RFC 9457, section 3.2).
    """

    status = 409
    code = "refused"
    title = "The request cannot be fulfilled"

    def __init__(self, faults: Sequence[Fault], members: Mapping[str, Any] | None = None) -> None:
        self.faults = tuple(faults)
        self.members = dict(members or {})
        super().__init__(" ".join(f"{fault.place}: {fault.message} {fault.mend}" for fault in self.faults))


class Invalid(Refusal):
    """Values that are well-formed and not allowed."""

    status = 422
    code = "invalid"
    title = "Some values are not allowed"
