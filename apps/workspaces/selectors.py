"""Reads on the tenant boundary."""

from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import QuerySet

from apps.workspaces.domains import MACHINES
from apps.workspaces.entry import MfaRequired, check_entry
from apps.workspaces.missing import NotFound
from apps.workspaces.models import AuditEvent, Membership, Role, Workspace
from apps.workspaces.scope import user_scope

if TYPE_CHECKING:
    from apps.accounts.models import User


def workspaces_of(user: "User") -> list[Workspace]:
    """The workspaces that the user belongs to; the personal one first, then by name. With an API key only its own."""
    return [found.workspace for found in sorted(memberships_of(user), key=_order)]


def memberships_of(user: "User") -> list[Membership]:
    """The user's memberships, each with `workspace` loaded. With an API key only that in the key's workspace."""
    with user_scope(user.pk):
        found = list(Membership.of_user.filter(user_id=user.pk).select_related("workspace"))
    return [membership for membership in found if _opens(user, membership)]


def membership(user: "User", slug: str) -> Membership:
    """The user's membership in the workspace of that slug, with `workspace` loaded.

    Raises:
        NotFound: also when it exists and the user does not belong to it, or came with the API key of another.
        MfaRequired: the workspace asks for a second factor, which the user has not.
    """
    with user_scope(user.pk):
        found = Membership.of_user.filter(user_id=user.pk, workspace__slug=slug).select_related("workspace").first()
    if found is None or not _opens(user, found):
        raise NotFound(f"workspace {slug}")
    check_entry(user, found)
    return found


def entered_by(user: "User") -> list[Membership]:
    """Those of the user's memberships whose workspaces let the user in, in the order of `workspaces_of`."""
    return sorted((found for found in memberships_of(user) if may_enter(user, found)), key=_order)


def demanding_mfa(user: "User") -> list[Workspace]:
    """Those of the user's workspaces that are entered with a second factor only, in the order of `workspaces_of`."""
    return [workspace for workspace in workspaces_of(user) if workspace.require_mfa]


def members_without_mfa() -> list["User"]:
    """The people who belong to the workspace in force and have no second factor, by address."""
    members = Membership.objects.filter(user__mfa_since=None).exclude(role=Role.API)
    return [found.user for found in members.select_related("user").order_by("user__email")]


def may_enter(user: "User", found: Membership) -> bool:
    """Whether the workspace of a membership lets its member in."""
    try:
        check_entry(user, found)
    except MfaRequired:
        return False
    return True


def other_people(user: "User") -> QuerySet[Membership]:
    """The other people in the workspace in force; its machine is none."""
    return Membership.objects.exclude(user_id=user.pk).exclude(user__email__endswith=f"@{MACHINES}")


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


def _order(found: Membership) -> tuple[bool, str, str]:
    workspace = found.workspace
    return not workspace.personal, workspace.name.casefold(), workspace.slug
