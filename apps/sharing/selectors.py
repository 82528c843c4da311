"""Reads of links that share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from apps.sharing.models import ShareLink
from apps.sharing.services import PREFIX
from apps.workspaces.digests import digests_of, naming
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Visibility, Workspace
from apps.workspaces.scope import scope

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from apps.accounts.models import User

MAX_TOKEN: Final = 200


def links() -> QuerySet[ShareLink]:
    """The open links of the workspace in force, newest first."""
    rows = ShareLink.objects.filter(revoked_at=None, expires_at__gt=timezone.now())
    return rows.select_related("created_by", "graph", "run").defer("run__result", "run__manifest").order_by(
        "-created_at", "-id"
    )  # fmt: skip


def link(link_id: UUID | str) -> ShareLink:
    """One of the open links of the workspace in force. Raises NotFound."""
    found = links().filter(pk=link_id).first()
    if found is None:
        raise NotFound(f"link {link_id}")
    return found


class SignInNeeded(Exception):
    """The link is for people who are signed in."""


def shared(token: str, user: User | AnonymousUser | Any) -> ShareLink:
    """The link of a token, for who may follow it. What it leads to is read inside its workspace's scope.

    Raises:
        NotFound: there is none, it has expired or was revoked, or its workspace is being deleted.
        SignInNeeded: it is for people who are signed in.
    """
    found = None
    if token.startswith(PREFIX) and len(token) <= MAX_TOKEN:
        digests = digests_of(token)
        with naming(digests):
            found = ShareLink.of_digest.filter(digest__in=digests).first()
    if found is None or not found.open:
        raise NotFound("such link")
    with scope(found.workspace_id):
        if not Workspace.objects.filter(pk=found.workspace_id, delete_at=None, suspended_at=None).exists():
            raise NotFound("such link")
    if found.visibility != Visibility.ANYONE and not user.is_authenticated:
        raise SignInNeeded
    return found
