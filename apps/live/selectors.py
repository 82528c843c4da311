"""What a socket reads from PostgreSQL. Each function opens its own scope, so each is one unit for one thread."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import Error
from django.utils import timezone

from apps.live.messages import event_message
from apps.live.permit import Permit
from apps.runs import selectors as runs
from apps.runs.models import Run
from apps.runs.serializers import hello_json
from apps.workspaces.entry import MfaRequired
from apps.workspaces.missing import NotFound
from apps.workspaces.models import ApiKey, Membership, Workspace
from apps.workspaces.permissions import Verb, may
from apps.workspaces.scope import scope
from apps.workspaces.selectors import entered_by, membership

if TYPE_CHECKING:
    from apps.accounts.models import User

T = TypeVar("T")
logger = logging.getLogger(__name__)

in_thread = partial(database_sync_to_async, thread_sensitive=False)
"""For reads of sockets: on any thread of the pool. Channels' own default is one thread for all sockets together."""

PAGE = 200
"""Events read at once."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A run that a user may watch, by which membership. `nodes`: the ids in its graph."""

    membership: Membership
    run: Run
    nodes: frozenset[str]

    @property
    def workspace_id(self) -> UUID:
        return self.membership.workspace_id


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run as its row says: `status` is the payload of a transient status message."""

    status: dict[str, Any]
    ended: bool


def watched_run(user: User, slug: str | None, run_id: UUID) -> Watched:
    """The run, if the user may read in its workspace; without a slug, in any of the user's own.

    Raises NotFound, whatever the reason.
    """
    if user.is_authenticated and user.is_active:
        try:
            members = entered_by(user) if slug is None else [membership(user, slug)]
        except MfaRequired:
            members = []
        for member in members:
            run = runs.with_graph(member.workspace, run_id) if may(member.role, Verb.READ) else None
            if run is not None:
                return Watched(member, run, frozenset(node["id"] for node in run.graph_version.spec["nodes"]))
    raise NotFound(f"run {run_id}")


def looked_at(permits: Iterable[Permit]) -> tuple[set[Permit], set[Permit]]:
    """Those of the permits whose rows are all there, not over, and as they were; and those of workspaces that could
    not be read, of which nothing is known.

    Raises:
        django.db.Error: nothing could be read.
    """
    left = [permit for permit in permits if permit.session_key is not None or permit.key_id is not None]
    now = timezone.now()
    sessions = import_module(settings.SESSION_ENGINE).SessionStore.get_model_class().objects
    logins = set(
        sessions.filter(
            session_key__in={permit.session_key for permit in left if permit.session_key is not None},
            expire_date__gt=now,
        ).values_list("session_key", flat=True)
    )
    people = get_user_model().objects.filter(pk__in={permit.user_id for permit in left}, is_active=True)
    people_now = {pk: (password, mfa) for pk, password, mfa in people.values_list("pk", "password", "mfa_since")}
    by_workspace: dict[UUID, list[Permit]] = defaultdict(list)
    without_mfa: set[Permit] = set()
    for permit in left:
        login = permit.session_key is None or permit.session_key in logins
        password, mfa_since = people_now.get(permit.user_id, (None, None))
        if login and password == permit.password:
            if mfa_since is None and permit.key_id is None:
                without_mfa.add(permit)
            by_workspace[permit.workspace_id].append(permit)
    valid: set[Permit] = set()
    unseen: set[Permit] = set()
    for workspace_id, here in by_workspace.items():
        try:
            valid.update(_unchanged_in(workspace_id, here, without_mfa))
        except Error as error:
            # The others are looked at all the same.
            logger.warning("the permits of workspace %s could not be looked at just now: %s", workspace_id, error)
            unseen.update(here)
    return valid, unseen


def _unchanged_in(workspace_id: UUID, permits: list[Permit], without_mfa: set[Permit]) -> list[Permit]:
    with scope(workspace_id):
        members = Membership.objects.filter(user_id__in={permit.user_id for permit in permits})
        roles = dict(members.values_list("user_id", "role"))
        keys = {
            (key_id, user_id)
            for key_id, user_id, expires_at in ApiKey.objects.filter(
                pk__in={permit.key_id for permit in permits if permit.key_id is not None}
            ).values_list("pk", "user_id", "expires_at")
            if expires_at is None or expires_at > timezone.now()
        }
        workspaces = Workspace.objects.filter(pk=workspace_id).values_list("slug", "require_mfa")
        slug, require_mfa = workspaces.first() or (None, False)
    return [
        permit
        for permit in permits
        if roles.get(permit.user_id) == permit.role
        and slug == permit.slug
        and not (require_mfa and permit in without_mfa)
        and (permit.key_id is None or (permit.key_id, permit.user_id) in keys)
    ]


class RunArchive:
    """The rows of one run, for code that runs on an event loop. Everything raises NotFound once the run is deleted."""

    def __init__(self, watched: Watched) -> None:
        self._workspace_id = watched.workspace_id
        self._run = watched.run

    async def events_after(self, seq: int) -> list[dict[str, Any]]:
        """Up to `PAGE` numbered messages after `seq`, in order."""
        return await self._scoped(
            lambda: [event_message(event) for event in runs.events_after(self._run, seq, limit=PAGE)]
        )

    async def last_event(self) -> int:
        """Number of the newest event; 0 when there is none."""
        return await self._scoped(lambda: int(Run.objects.values_list("last_event", flat=True).get(pk=self._run.pk)))

    async def greeting(self) -> dict[str, Any]:
        """The run as the first message of a socket shows it, as it is now: JSON types only."""
        return await self._scoped(self._greeting)

    def _greeting(self) -> dict[str, Any]:
        run = Run.objects.select_related("graph_version__graph__preset", "workspace").get(pk=self._run.pk)
        return {"run": _plain(hello_json(run)), "last_event": run.last_event}

    async def snapshot(self) -> Snapshot:
        """How the run is now."""
        return await self._scoped(self._snapshot)

    def _snapshot(self) -> Snapshot:
        run = Run.objects.only("state", "tick", "progress", "eta_s", "ticks_per_s", "paused").get(pk=self._run.pk)
        status = {
            "state": str(run.state),
            "tick": run.tick,
            "progress": run.progress,
            "eta_s": run.eta_s,
            "ticks_per_s": run.ticks_per_s,
            "paused": run.paused,
        }
        return Snapshot(status, run.is_final)

    async def _scoped(self, read: Callable[[], T]) -> T:
        def inside() -> T:
            with scope(self._workspace_id):
                try:
                    return read()
                except Run.DoesNotExist:
                    raise NotFound(f"run {self._run.pk}") from None

        result: T = await in_thread(inside)()
        return result


def _plain(value: Any) -> Any:
    """The value with text for every id and time, which msgpack has no form for."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)
