"""Reads on the tenant boundary."""

from typing import TYPE_CHECKING

from apps.workspaces.missing import NotFound
from apps.workspaces.models import Membership, Workspace
from apps.workspaces.scope import user_scope

if TYPE_CHECKING:
    from apps.accounts.models import User


def workspaces_of(user: "User") -> list[Workspace]:
    """The workspaces that the user belongs to; the personal one first, then by name. With an API key only its own."""
    found = [membership.workspace for membership in memberships_of(user)]
    return sorted(found, key=lambda workspace: (not workspace.personal, workspace.name.casefold(), workspace.slug))


def memberships_of(user: "User") -> list[Membership]:
    """The user's memberships, each with `workspace` loaded. With an API key only that in the key's workspace."""
    with user_scope(user.pk):
        found = list(Membership.of_user.filter(user_id=user.pk).select_related("workspace"))
    return [membership for membership in found if _opens(user, membership)]


def membership(user: "User", slug: str) -> Membership:
    """The user's membership in the workspace of that slug, with `workspace` loaded.

    Raises `NotFound` also when the workspace exists and the user does not belong to it, or came with the API key of
    another.
    """
    with user_scope(user.pk):
        found = Membership.of_user.filter(user_id=user.pk, workspace__slug=slug).select_related("workspace").first()
    if found is None or not _opens(user, found):
        raise NotFound(f"workspace {slug}")
    return found


def _opens(user: "User", found: Membership) -> bool:
    return user.api_key is None or user.api_key.workspace_id == found.workspace_id
