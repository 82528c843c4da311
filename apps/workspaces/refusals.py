"""Why something is not done to a workspace and its members."""

from apps.ops.refusal import Fault, Refusal


class LastOwner(Refusal):
    """A workspace has an owner at all times."""

    status = 409
    code = "last_owner"
    title = "A workspace cannot be without an owner"

    def __init__(self) -> None:
        super().__init__([Fault("role", "There is no other owner.", "Make somebody else an owner first.")])


class NotForMachines(Refusal):
    """The machine member comes and goes with the keys that the workspace owns."""

    status = 409
    code = "machine_member"
    title = "This is the workspace's machine member"

    def __init__(self) -> None:
        mend = "Revoke the keys that the workspace owns, or make others."
        super().__init__([Fault("member", "It is no person, and has the role of a machine.", mend)])


class InvitationVoid(Refusal):
    """An invitation that nobody can accept any more, or not this person."""

    status = 409
    code = "invitation_void"
    title = "The invitation cannot be accepted"


class NotClosing(Refusal):
    """There is nothing to take back."""

    status = 409
    code = "workspace_not_closing"
    title = "The workspace is not being deleted"


class Closing(Refusal):
    """It is being deleted already."""

    status = 409
    code = "workspace_closing"
    title = "The workspace is being deleted"
