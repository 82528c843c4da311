"""Reads on the tenant boundary."""

from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import QuerySet

from apps.workspaces.missing import NotFound
from apps.workspaces.models import AuditEvent, Membership, Role, Workspace
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


def members() -> QuerySet[Membership]:
    """The members of the workspace in force, the oldest first, each with `user` loaded."""
    return Membership.objects.select_related("user").order_by("created_at", "id")


def member(member_id: UUID | str) -> Membership:
    """One member of the workspace in force. Raises NotFound."""
    found = members().filter(pk=member_id).first()
    if found is None:
        raise NotFound(f"member {member_id}")
    return found


def managers_mails() -> list[str]:
    """Where the owners and administrators of the workspace in force are written to."""
    rows = Membership.objects.filter(role__in=(Role.OWNER, Role.ADMIN), user__is_active=True)
    return sorted(rows.values_list("user__email", flat=True))


def audit_events() -> QuerySet[AuditEvent]:
    """What was done in the workspace in force, newest first, each with `actor` loaded."""
    return AuditEvent.objects.select_related("actor").order_by("-at", "-id")


def _opens(user: "User", found: Membership) -> bool:
    return user.api_key is None or user.api_key.workspace_id == found.workspace_id
