"""What a socket reads from PostgreSQL. Each function opens its own scope, so each is one unit for one thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from channels.db import database_sync_to_async

from apps.live.messages import event_message
from apps.runs import selectors as runs
from apps.runs.models import Run
from apps.runs.serializers import hello_json
from apps.workspaces.missing import NotFound
from apps.workspaces.scope import scope
from apps.workspaces.selectors import membership

if TYPE_CHECKING:
    from apps.accounts.models import User

T = TypeVar("T")

in_thread = partial(database_sync_to_async, thread_sensitive=False)
"""For reads of sockets: on any thread of the pool. Channels' own default is one thread for all sockets together."""

PAGE = 200
"""Events read at once."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A run that a user may watch. `nodes`: the ids in its graph."""

    workspace_id: UUID
    run: Run
    nodes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run as its row says: `status` is the payload of a transient status message."""

    status: dict[str, Any]
    ended: bool


def watched_run(user: User, slug: str, run_id: UUID) -> Watched:
    """The run, if the user belongs to its workspace. Raises NotFound, whatever the reason."""
    if not user.is_authenticated or not user.is_active:
        raise NotFound(f"run {run_id}")
    workspace = membership(user, slug).workspace
    run = runs.run(workspace, run_id)
    return Watched(workspace.id, run, frozenset(node["id"] for node in run.graph_version.spec["nodes"]))


def hello(watched: Watched) -> dict[str, Any]:
    """The run as the first message of a socket shows it, as it is now: JSON types only."""
    with scope(watched.workspace_id):
        run = Run.objects.select_related("graph_version__graph__preset", "workspace").get(pk=watched.run.pk)
        return {"run": _plain(hello_json(run)), "last_event": run.last_event}


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
