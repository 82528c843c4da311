"""Writes on links that share."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.utils import timezone

from apps.console import flags
from apps.ops.refusal import Fault, Invalid
from apps.projects.models import Graph
from apps.runs.models import Run
from apps.sharing.models import ShareLink
from apps.workspaces.digests import digest_of
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Visibility, Workspace
from apps.workspaces.permissions import Verb, may, require
from apps.workspaces.scope import scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User

PREFIX: Final = "shr_"
HINT_LENGTH: Final = 9
DAYS: Final = 30
MOST_DAYS: Final = 365
OPEN_AT_MOST: Final = 500


def share(
    actor: User, target: Run | Graph, days: int = DAYS, visibility: str | None = None
) -> tuple[ShareLink, str]:  # fmt: skip
    """A link to a run or a graph, and its token (`shr_` and 192 random bits), which is told here and never again.

    Args:
        days: it leads there for so long, 1 to `MOST_DAYS`.
        visibility: who may follow it; without one as the workspace says.

    Raises:
        Invalid: a value is out of range, or there are too many links.
        PermissionDenied: the actor may not share.
        SwitchedOff: operators let nobody share at present.
    """
    token = PREFIX + secrets.token_urlsafe(24)
    with scope(target.workspace_id, actor.pk):
        found = require(actor, Verb.SHARE)
        flags.demand(flags.SHARE_LINKS, target.workspace_id, "links")
        kind = found.workspace.default_visibility if visibility is None else visibility
        faults = []
        if not 1 <= days <= MOST_DAYS:
            faults.append(Fault("days", f"{days} is out of range.", f"Give 1 to {MOST_DAYS} days."))
        if kind not in Visibility.values:
            faults.append(Fault("visibility", "There is no such choice.", "Give anyone or signed_in."))
        now = timezone.now()
        if ShareLink.objects.filter(revoked_at=None, expires_at__gt=now).count() >= OPEN_AT_MOST:
            faults.append(Fault("links", f"There are {OPEN_AT_MOST}, as many as may be.", "Revoke some."))
        if faults:
            raise Invalid(faults)
        of = {"run": target} if isinstance(target, Run) else {"graph": target}
        made = ShareLink.objects.create(
            workspace_id=target.workspace_id, digest=digest_of(token), hint=token[:HINT_LENGTH], visibility=kind,
            created_by=actor, expires_at=now + timedelta(days=days), **of,
        )  # fmt: skip
        name = next(iter(of))
        audit(
            actor, "link.create", made, of=name, target=str(target.pk), hint=made.hint, visibility=kind, days=days
        )  # fmt: skip
    return made, token


def revoke_links(sender: Any, user_id: UUID, **_: Any) -> dict[str, int]:
    """Have the open links of somebody who leaves the workspace in force lead nowhere; how many there were.

    Receives `member_leaving`, whose sender has the permission and writes the audit event.
    """
    now = timezone.now()
    rows = ShareLink.objects.filter(created_by_id=user_id, revoked_at=None, expires_at__gt=now)
    return {"links": rows.update(revoked_at=now)}


def unshare(actor: User, workspace: Workspace, link_id: UUID | str) -> None:
    """Have an open link of the actor's lead nowhere; one who manages the workspace may do so with everybody's.

    Raises:
        NotFound: there is none.
        PermissionDenied: the actor may not share.
    """
    with scope(workspace.id, actor.pk):
        role = require(actor, Verb.SHARE, while_closing=True).role
        rows = ShareLink.objects.select_for_update().filter(pk=link_id, revoked_at=None)
        found = (rows if may(role, Verb.MANAGE_WORKSPACE) else rows.filter(created_by_id=actor.pk)).first()
        if found is None:
            raise NotFound(f"link {link_id}")
        found.revoked_at = timezone.now()
        found.save(update_fields=["revoked_at"])
        audit(actor, "link.revoke", found, hint=found.hint)
