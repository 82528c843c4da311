"""What a socket reads from PostgreSQL. Each function opens its own scope, so each is one unit for one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection

from apps.accounts.sessions import holding
from apps.console import impersonation
from apps.live.login import Caller, users_of
from apps.live.messages import event_message
from apps.live.permit import Permit
from apps.runs import selectors as runs
from apps.runs.models import Run
from apps.runs.serializers import hello_json
from apps.workspaces.entry import MfaRequired
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Membership
from apps.workspaces.permissions import Verb, may
from apps.workspaces.scope import scope
from apps.workspaces.selectors import entered_by, membership

if TYPE_CHECKING:
    from apps.accounts.models import User

T = TypeVar("T")

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


@dataclass(frozen=True, slots=True)
class Knock:
    """Somebody wants to watch a run; without a slug, in any of the own workspaces."""

    caller: Caller
    slug: str | None
    run_id: UUID


def let_in(knocks: Sequence[Knock]) -> list[tuple[Watched, Permit] | None]:
    """To each its run, if who calls may read in its workspace, and by what; None if not, whatever the reason.

    People, memberships and runs that several ask for are read once.
    """
    users = users_of(knock.caller for knock in knocks)
    members: dict[tuple[UUID, UUID | None, str | None], list[Membership]] = {}
    graphs: dict[tuple[UUID, UUID], tuple[Run, frozenset[str]] | None] = {}
    answers: list[tuple[Watched, Permit] | None] = []
    for knock in knocks:
        answers.append(None)
        user = users[knock.caller]
        if user is None or not user.is_active:
            continue
        as_whom = (user.pk, None if user.api_key is None else user.api_key.pk, knock.slug)
        if as_whom not in members:
            members[as_whom] = _readers(user, knock.slug)
        for member in members[as_whom]:
            place = (member.workspace_id, knock.run_id)
            if place not in graphs:
                run = runs.with_graph(member.workspace, knock.run_id)
                graphs[place] = None if run is None else (run, _nodes(run))
            if (found := graphs[place]) is not None:
                answers[-1] = (Watched(member, *found), Permit.of(user, member, knock.caller.session_key))
                break
    return answers


def _nodes(run: Run) -> frozenset[str]:
    return frozenset(node["id"] for node in run.graph_version.spec["nodes"])


def _readers(user: User, slug: str | None) -> list[Membership]:
    """The memberships by which the user may read: in the workspace of that slug, or everywhere."""
    try:
        found = entered_by(user) if slug is None else [membership(user, slug)]
    except (MfaRequired, NotFound):
        return []
    return [member for member in found if may(member.role, Verb.READ)]


def permits_now(permits: Iterable[Permit]) -> dict[Permit, Permit | None]:
    """Each of the permits as its rows say by now; None when a login, a key, a person, a membership or what an operator
    does in the person's name is gone or over.

    Three queries, however many permits and workspaces there are; a few more while operators act in somebody's name.
    """
    asked = set(permits)
    sessions = import_module(settings.SESSION_ENGINE).SessionStore.get_model_class().objects
    logins = set(
        sessions.filter(
            holding(), session_key__in={permit.session_key for permit in asked if permit.session_key is not None}
        ).values_list("session_key", flat=True)
    )
    people = get_user_model().objects.filter(pk__in={permit.user_id for permit in asked}, is_active=True)
    known = {pk: (password, mfa_since) for pk, password, mfa_since in people.values_list("pk", "password", "mfa_since")}
    acted = impersonation.still({permit.impersonation_id for permit in asked if permit.impersonation_id is not None})
    left = [
        permit
        for permit in asked
        if permit.user_id in known
        and known[permit.user_id][0] == permit.password
        and (permit.impersonation_id is None or permit.impersonation_id in acted)
        and (permit.key_id is not None if permit.session_key is None else permit.session_key in logins)
    ]
    rows: dict[Permit, Permit | None] = dict.fromkeys(asked)
    site_asks = settings.ATTRACTOR.accounts.require_mfa
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT number, slug, role, require_mfa FROM permits_now(%s::uuid[], %s::uuid[], %s::uuid[])",
            [
                [permit.workspace_id for permit in left],
                [permit.user_id for permit in left],
                [permit.key_id for permit in left],
            ],
        )
        for number, slug, role, require_mfa in cursor.fetchall():
            permit = left[number - 1]
            # As at the door (`workspaces.entry`): a key is not asked for a second factor.
            factor = not (require_mfa or site_asks) or permit.key_id is not None or known[permit.user_id][1] is not None
            if factor and may(role, Verb.READ):
                rows[permit] = replace(permit, slug=slug, role=role)
    return rows


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
