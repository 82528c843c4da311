"""What a workspace asks of its members before they enter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from apps.ops.refusal import Fault, Refusal

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.workspaces.models import Membership, Workspace


class MfaRequired(Refusal):
    """The workspace is entered with two-step sign-in only, and this member has none."""

    status = 403
    code = "mfa_required"
    title = "This workspace asks for two-step sign-in"

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        super().__init__(
            [
                Fault(
                    "mfa",
                    f"Members of {workspace.name} need two-step sign-in.",
                    "Set it up in Security of your account.",
                )
            ]
        )


def check_entry(user: User, found: Membership) -> None:
    """Raises `MfaRequired`. Who comes with an API key is let in: it was made by a member who could enter, and it is
    bounded and revoked on its own."""
    needed = found.workspace.require_mfa or settings.ATTRACTOR.accounts.require_mfa
    if needed and user.mfa_since is None and user.api_key is None:
        raise MfaRequired(found.workspace)
