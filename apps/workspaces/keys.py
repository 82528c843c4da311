"""API keys: a person's way into one workspace for programs.

A key is `atk_` and 43 characters (256 random bits). The secret is given out once, when the key is made; what is kept is
its SHA-256, which needs no salt or slow hash: nobody guesses 256 bits.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.workspaces.missing import NotFound
from apps.workspaces.models import ApiKey, Workspace
from apps.workspaces.permissions import Verb, may, require
from apps.workspaces.scope import scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User

PREFIX: Final = "atk_"
HINT_LENGTH: Final = 9
MAX_SECRET: Final = 200
NOTED_EVERY: Final = timedelta(minutes=1)


def create_key(
    actor: "User", workspace: Workspace, name: str, expires_in_days: int | None = None
) -> tuple[ApiKey, str]:
    """A new key of the actor's and its secret, which is told here and never again.

    Raises `PermissionDenied` for a viewer, and for somebody who came with a key: a key makes no keys.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MAKE_KEY)
        key = ApiKey.objects.create(
            workspace_id=workspace.id,
            user=actor,
            name=name,
            digest=_digest(secret),
            hint=secret[:HINT_LENGTH],
            expires_at=None if expires_in_days is None else timezone.now() + timedelta(days=expires_in_days),
        )
        audit(actor, "key.create", key, name=name)
    return key, secret


def revoke_key(actor: "User", workspace: Workspace, key_id: UUID) -> None:
    """Make a key of the actor's worthless from now on; one who manages the workspace may revoke everybody's.

    Raises:
        NotFound: no such key of the actor's here.
        PermissionDenied: as `create_key` does.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MAKE_KEY)
        key = _visible(actor).filter(pk=key_id).first()
        if key is None:
            raise NotFound(f"key {key_id}")
        audit(actor, "key.revoke", key, name=key.name, owner=str(key.user_id))
        key.delete()


def keys(actor: "User", workspace: Workspace) -> list[ApiKey]:
    """The actor's keys to the workspace, newest first; all of them for one who manages it."""
    with scope(workspace.id, actor.pk):
        return list(_visible(actor).select_related("user").order_by("-created_at", "-id"))


def _visible(actor: "User") -> QuerySet[ApiKey]:
    role = require(actor, Verb.READ).role
    manages = may(role, Verb.MANAGE_WORKSPACE) and actor.api_key is None
    return ApiKey.objects.all() if manages else ApiKey.objects.filter(user=actor)


def holder_of(secret: str) -> "User | None":
    """The person whose key this is, with `api_key` set; None when there is no such key, it is over, or the person is
    no longer active."""
    if not secret.startswith(PREFIX) or len(secret) > MAX_SECRET:
        return None
    digest = _digest(secret)
    with transaction.atomic():
        _name(digest)
        key = ApiKey.of_digest.filter(digest=digest).select_related("user").first()
        _name("")
    now = timezone.now()
    if key is None or not key.user.is_active or (key.expires_at is not None and key.expires_at <= now):
        return None
    if key.last_used_at is None or now - key.last_used_at > NOTED_EVERY:
        with scope(key.workspace_id):
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    key.user.api_key = key
    return key.user


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _name(digest: str) -> None:
    """Tell the database which key is looked for: its policy shows no other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.key_digest', %s, true)", [digest])
