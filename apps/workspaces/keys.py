"""API keys: the way of programs into one workspace.

A key is `atk_` and 43 characters (256 random bits). The secret is given out once, when it is drawn; what is kept is
its keyed digest (`digests`). A key is a person's, who works by it as in the site, or the workspace's own: then the
machine member works by it, and it outlives whoever made it. It may be bound to some of what its holder may, to networks
and to a time. `rotate_key` draws a new secret while the one before opens for some hours more.
"""

import secrets
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.ops.refusal import Fault, Invalid
from apps.workspaces.digests import digest_of, digests_of, naming
from apps.workspaces.domains import MACHINES
from apps.workspaces.missing import NotFound
from apps.workspaces.models import ApiKey, Membership, Role, Workspace
from apps.workspaces.networks import NoNetwork, network, plain, within
from apps.workspaces.permissions import ALLOWED, BY_KEY, Verb, may, require
from apps.workspaces.scope import scope
from apps.workspaces.services import audit, locked_workspace

if TYPE_CHECKING:
    from apps.accounts.models import User

PREFIX: Final = "atk_"
HINT_LENGTH: Final = 9
MAX_SECRET: Final = 200
MOST_NETWORKS: Final = 20
NOTED_EVERY: Final = timedelta(minutes=1)
OLD_HOURS: Final = 24
"""For so long the secret before opens too, unless somebody says otherwise."""
MOST_OLD_HOURS: Final = 168


def create_key(
    actor: "User",
    workspace: Workspace,
    name: str,
    expires_in_days: int | None = None,
    *,
    verbs: Sequence[str] | None = None,
    networks: Sequence[str] = (),
    of_workspace: bool = False,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is told here and never again.

    Args:
        verbs: what it allows besides reading, of `BY_KEY`; None: what its holder may.
        networks: it opens from these, as CIDR; empty: from everywhere.
        of_workspace: the workspace owns it, and the machine member works by it; else the actor.

    Raises:
        Invalid: a verb or network is none, or the machine member does not have the verb.
        PermissionDenied: the actor is a viewer, came with a key, which makes no keys, or does not manage the workspace
            that is to own it.
    """
    with scope(workspace.id, actor.pk):
        role = require(actor, Verb.MAKE_KEY).role
        if of_workspace:
            require(actor, Verb.MANAGE_WORKSPACE)
            role = Role.API
        kept, faults = _networks(networks)
        faults += _verb_faults(verbs, role)
        if faults:
            raise Invalid(faults)
        secret = _drawn()
        key = ApiKey.objects.create(
            workspace_id=workspace.id,
            user=_machine() if of_workspace else actor,
            created_by=actor,
            owned_by_workspace=of_workspace,
            name=name,
            digest=digest_of(secret),
            hint=secret[:HINT_LENGTH],
            verbs=None if verbs is None else sorted({*verbs, Verb.READ}),
            networks=kept,
            expires_at=None if expires_in_days is None else timezone.now() + timedelta(days=expires_in_days),
        )
        audit(
            actor, "key.create", key, name=name, hint=key.hint, verbs=key.verbs, networks=kept,
            of_workspace=of_workspace,
        )  # fmt: skip
    return key, secret


def rotate_key(actor: "User", workspace: Workspace, key_id: UUID, old_hours: int = OLD_HOURS) -> tuple[ApiKey, str]:
    """A new secret of a key, which is told here and never again.

    Args:
        old_hours: for so long the secret before opens too; of one before that nothing is kept.

    Raises:
        NotFound: no key that the actor sees.
        PermissionDenied: as `create_key` does; or somebody else works by it, also for who manages the workspace: with
            its secret one would be that person.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MAKE_KEY)
        key = _held(actor, key_id)
        if not key.owned_by_workspace and key.user_id != actor.pk:
            raise PermissionDenied("It is somebody else's key: only they draw a new secret of it. Revoke it instead.")
        secret = _drawn()
        key.old_digest, key.old_until = "", None
        if old_hours > 0:
            key.old_digest, key.old_until = key.digest, timezone.now() + timedelta(hours=old_hours)
        key.digest, key.hint = digest_of(secret), secret[:HINT_LENGTH]
        key.save(update_fields=["digest", "hint", "old_digest", "old_until"])
        audit(actor, "key.rotate", key, name=key.name, hint=key.hint, old_hours=old_hours)
    return key, secret


def revoke_key(actor: "User", workspace: Workspace, key_id: UUID) -> None:
    """Make a key of the actor's worthless from now on; one who manages the workspace may revoke everybody's.

    Raises:
        NotFound: no such key of the actor's here.
        PermissionDenied: as `create_key` does.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MAKE_KEY, while_closing=True)
        key = _held(actor, key_id)
        audit(actor, "key.revoke", key, gone=True, name=key.name, hint=key.hint, owner=str(key.user_id))
        key.delete()


def keys(actor: "User", workspace: Workspace) -> list[ApiKey]:
    """The actor's keys to the workspace, newest first; all of them for one who manages it."""
    with scope(workspace.id, actor.pk):
        return list(_visible(actor).select_related("user", "created_by").order_by("-created_at", "-id"))


def _visible(actor: "User") -> QuerySet[ApiKey]:
    role = require(actor, Verb.READ).role
    manages = may(role, Verb.MANAGE_WORKSPACE) and actor.api_key is None
    return ApiKey.objects.all() if manages else ApiKey.objects.filter(user=actor)


def _held(actor: "User", key_id: UUID) -> ApiKey:
    key = _visible(actor).select_for_update().filter(pk=key_id).first()
    if key is None:
        raise NotFound(f"key {key_id}")
    return key


def _networks(given: Sequence[str]) -> tuple[list[str], list[Fault]]:
    found, faults = [], []
    for one in given:
        try:
            found.append(network(one))
        except NoNetwork as error:
            faults.append(Fault("networks", str(error), "Give networks such as 203.0.113.0/24 or 2001:db8::/32."))
    if len(given) > MOST_NETWORKS:
        faults.append(Fault("networks", f"There are {len(given)}.", f"Give at most {MOST_NETWORKS}."))
    return sorted(set(found)), faults


def offered_to(role: str) -> list[Verb]:
    """What a key of a member with this role can allow."""
    return [verb for verb in Verb if verb in BY_KEY and verb in ALLOWED[Role(role)]]


def _verb_faults(verbs: Sequence[str] | None, role: str) -> list[Fault]:
    offered = offered_to(role)
    return [
        Fault("verbs", f"A key of this holder cannot allow {one[:60]}.", f"Choose from {', '.join(offered)}.")
        for one in sorted(set(verbs or ()) - set(offered))
    ]


def _machine() -> "User":
    """The machine member of the workspace in force; made when it is first needed."""
    from apps.accounts.models import User

    workspace = locked_workspace()
    found = Membership.objects.filter(role=Role.API, user__email__endswith=f"@{MACHINES}").select_related("user")
    member = found.first()
    if member is None:
        # Nobody knows its address beforehand, and no mail arrives there.
        user = User.objects.create_user(f"{uuid.uuid4().hex}@{MACHINES}", name=f"Machine of {workspace.name}"[:120])
        member = Membership.objects.create(workspace_id=workspace.pk, user=user, role=Role.API)
    return member.user


def holder_of(secret: str, address: str | None = None) -> "User | None":
    """Who works by this key, with `api_key` set; None when there is no such key, it is over, its holder is no longer
    active, or it does not open from this IP address."""
    if not secret.startswith(PREFIX) or len(secret) > MAX_SECRET:
        return None
    digests = digests_of(secret)
    now = timezone.now()
    with naming(digests):
        named = Q(digest__in=digests) | Q(old_digest__in=digests, old_until__gt=now)
        key = ApiKey.of_digest.filter(named).select_related("user").first()
    if key is None or not key.user.is_active or (key.expires_at is not None and key.expires_at <= now):
        return None
    if not within(key.networks, address):
        return None
    _note(key, digests, address)
    key.user.api_key = key
    return key.user


def _note(key: ApiKey, digests: list[str], address: str | None) -> None:
    """Note that the key was used, and digest it anew if that is not how it is done today."""
    now = timezone.now()
    changes: dict[str, object] = {}
    if key.last_used_at is None or now - key.last_used_at > NOTED_EVERY:
        changes |= {"last_used_at": now, "last_used_from": plain(address)}
    if key.digest in digests[1:]:
        changes["digest"] = digests[0]
    if changes:
        with scope(key.workspace_id):
            # Only the secret that was looked at: a rotation may have come meanwhile.
            rows = ApiKey.objects.filter(pk=key.pk)
            (rows.filter(digest=key.digest) if "digest" in changes else rows).update(**changes)


def _drawn() -> str:
    return PREFIX + secrets.token_urlsafe(32)
