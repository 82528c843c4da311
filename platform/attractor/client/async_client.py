"""The client, on asyncio. `sync_client` is made from this module by `manage.py generate_client`."""

from __future__ import annotations

import html
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

from attractor.client import login, types
from attractor.client.async_transport import AsyncSocket, AsyncTransport
from attractor.client.bar import shown
from attractor.client.errors import (
    BadAnswer,
    ClientError,
    Conflict,
    ExportFailed,
    RunNotOver,
    RunNotSucceeded,
    Unreachable,
)
from attractor.client.feed import Feed, Gap
from attractor.client.graph_file import GraphFile
from attractor.client.landing import Landing
from attractor.client.request import Request, new_key, read
from attractor.client.result import Result
from attractor.client.retry import Retry
from attractor.client.study import Axes, row_of, sweep_of
from attractor.client.transport import SocketLost
from attractor.client.updates import FINAL, Update

T = TypeVar("T")

POLL_SECONDS = 1.0
"""How often a run is asked about where no socket stays open."""
EVENTS_AT_ONCE = 1000
GRAPHS_LOOKED_AT = 100
"""How many of the newest graphs are looked through for one that was made from a preset before."""
DEFAULT_PROJECT = "Command line and notebooks"


class AsyncClient:
    """One server, in one workspace.

    Args:
        url: the server's address; without one that of the environment (`ATTRACTOR_URL`) or of `attractor login`.
        key: an API key; without one that of the environment (`ATTRACTOR_API_KEY`) or of `attractor login`.
        timeout: seconds to wait for a connection, and for each part of an answer.
        retry: how patient the client is with a server that is away or busy.

    Every method that asks the server raises `ApiError` when the server refuses, `Unreachable` when it does not answer,
    and `BadAnswer` when its answer is none. Reading is tried again, and so is making things: each carries an
    Idempotency-Key, so that it is made once.
    """

    def __init__(
        self, url: str | None = None, key: str | None = None, *, timeout: float = 30.0, retry: Retry | None = None
    ) -> None:
        found = login.find(url, key)
        self.url = found.url
        self._retry = retry or Retry()
        self._transport = AsyncTransport(found.url, found.key, timeout)
        self._slug: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    # Who and what there is.

    async def me(self) -> types.Me:
        """Whose key it is, and what is known of it."""
        return await self._ask(Request("GET", "/me/", types.Me))

    async def workspace(self) -> types.Workspace:
        """The key's workspace."""
        found = await self._ask(Request("GET", "/workspaces/", list[types.Workspace]))
        if not found:
            raise BadAnswer("the key belongs to no workspace: make a new one on the site")
        self._slug = found[0].slug
        return found[0]

    def presets(self) -> AsyncIterator[types.PresetSummary]:
        """The built-in presets, by category."""
        return self._pages("/presets/", types.PaginatedPresetSummaryList)

    async def preset(self, preset: str) -> types.Preset:
        """One preset with its document and the verdicts of its acceptance."""
        return await self._ask(Request("GET", f"/presets/{_part(preset)}/", types.Preset))

    async def node_kinds(self) -> list[dict[str, Any]]:
        """The node kinds of the server, each as it declares itself."""
        return (await self._ask(Request("GET", "/nodes/", types.NodeKinds))).results

    # Projects and graphs.

    async def projects(self) -> AsyncIterator[types.Project]:
        """The workspace's projects, newest first."""
        async for one in self._pages(await self._in_workspace("projects/"), types.PaginatedProjectList):
            yield one

    async def create_project(self, name: str) -> types.Project:
        """A new, empty project."""
        return await self._make("projects/", types.NewProject(name=name), types.Project)

    async def graphs(self) -> AsyncIterator[types.GraphSummary]:
        """The workspace's graphs, newest first."""
        async for one in self._pages(await self._in_workspace("graphs/"), types.PaginatedGraphSummaryList):
            yield one

    async def graph(self, graph: UUID | str) -> types.Graph:
        """One graph with its newest version."""
        return await self._ask(Request("GET", await self._in_workspace(f"graphs/{_part(graph)}/"), types.Graph))

    async def create_graph(self, name: str, spec: Mapping[str, Any], project: UUID | None = None) -> types.Graph:
        """A graph of one's own; a spec that cannot run is refused with every problem (`Invalid.faults`).

        Args:
            spec: nodes, edges and routes.
            project: where it goes; a project for the command line and notebooks unless said.
        """
        where = project or await self._default_project()
        return await self._make("graphs/", types.NewGraph(project=where, name=name, spec=dict(spec)), types.Graph)

    async def use_preset(self, preset: str, project: UUID | None = None) -> types.Graph:
        """A graph of one's own made from a preset."""
        where = project or await self._default_project()
        return await self._make("graphs/", types.NewGraph(project=where, preset=preset), types.Graph)

    async def _default_project(self) -> UUID:
        async for project in self.projects():
            if project.name == DEFAULT_PROJECT:
                return project.id
        return (await self.create_project(DEFAULT_PROJECT)).id

    # Runs.

    async def runs(self) -> AsyncIterator[types.RunSummary]:
        """The workspace's runs, newest first."""
        async for one in self._pages(await self._in_workspace("runs/"), types.PaginatedRunSummaryList):
            yield one

    async def run(self, run: UUID | str) -> AsyncRun:
        """One run."""
        return AsyncRun(self, await self._run_info(run))

    async def submit(
        self, graph: UUID | str | types.Graph | types.GraphSummary, seed: int | None = None, ticks: int | None = None
    ) -> AsyncRun:
        """Queue a run of a graph's newest version.

        Args:
            seed: 0 to 2^63 - 1; drawn by the server unless given.
            ticks: length; the preset's, or 1000, unless given.

        Raises:
            Invalid: it can never run; `faults` says why.
            QuotaExceeded: not now; other runs must be over first.
        """
        number = graph if isinstance(graph, UUID | str) else graph.id
        wanted: dict[str, Any] = {"graph": number, "seed": seed, "ticks": ticks}
        body = types.NewRun(**{name: value for name, value in wanted.items() if value is not None})
        made = await self._make("runs/", body, types.SubmittedRun)
        return AsyncRun(self, types.Run.model_validate(made.model_dump()), made.warnings)

    async def run_preset(self, preset: str, seed: int | None = None, ticks: int | None = None) -> AsyncRun:
        """Queue a run of a preset. A graph made from it before is used again if the preset is still the same."""
        document = await self.preset(preset)
        looked = 0
        async for found in self.graphs():
            looked += 1
            if found.preset == preset and found.version == 1:
                graph = await self.graph(found.id)
                if graph.content_hash == document.content_hash:
                    return await self.submit(graph, seed, ticks)
            if looked == GRAPHS_LOOKED_AT:
                break
        return await self.submit(await self.use_preset(preset), seed, ticks)

    async def run_file(self, path: Path | str, seed: int | None = None, ticks: int | None = None) -> AsyncRun:
        """Queue a run of a file: a preset, or a graph alone. The preset's length counts unless `ticks` is given."""
        found = GraphFile.load(path)
        return await self.submit(await self.create_graph(found.name, found.spec), seed, ticks or found.ticks)

    async def sweep(
        self, graph: UUID | str | types.Graph | types.GraphSummary, axes: Axes, sampling: str = "grid",
        points: int | None = None, metrics: Iterable[str | Mapping[str, Any]] = (), seed: int | None = None,
        ticks: int | None = None,
    ) -> AsyncRun:  # fmt: skip
        """Queue a sweep: a graph's newest version at many points, as one run.

        Args:
            axes: what is varied, `{"array.coupling": [0.1, 0.2], "array.noise": {"min": 0, "max": 1, "steps": 5}}`.
            sampling: `grid` takes every combination; `random` and `sobol` draw `points` of them.
            metrics: `node.port` of scalar outputs, or {port, reduce, start}; all of their last values unless given.
            seed, ticks: of every point.

        Raises:
            Invalid: it can never run; `faults` says why.
        """
        number = graph if isinstance(graph, UUID | str) else graph.id
        body = sweep_of(number, axes, sampling, points, metrics, seed, ticks)
        made = await self._make("sweeps/", body, types.SubmittedRun)
        return AsyncRun(self, types.Run.model_validate(made.model_dump()), made.warnings)

    async def compare(self, runs: Iterable[UUID | str], sort: str = "") -> types.Comparison:
        """Parameters and metrics of 2 to 100 runs, all of them in one answer.

        Args:
            sort: a parameter or metric, `-` before it for descending; without one the order of `runs`.

        Raises:
            NotFound: one of them is not there.
        """
        query: dict[str, str | int] = {"runs": ",".join(str(one) for one in runs), "page_size": 100}
        if sort:
            query["sort"] = sort
        return await self._ask(Request("GET", await self._in_workspace("runs/compare/"), types.Comparison, query))

    async def cancel_runs(self, runs: Iterable[UUID | str]) -> types.Cancelled:
        """Stop up to 100 runs, all or none."""
        body = types.CancelledRuns.model_validate({"runs": list(runs)})
        return await self._ask(Request("POST", await self._in_workspace("runs/cancel/"), types.Cancelled, body=body))

    # Files.

    async def artifacts(self, run: UUID | str | None = None) -> AsyncIterator[types.Artifact]:
        """What runs recorded, exports and imported files, newest first; of one run, or of the whole workspace."""
        query = {} if run is None else {"run": str(run)}
        async for one in self._pages(await self._in_workspace("artifacts/"), types.PaginatedArtifactList, query):
            yield one

    async def save(self, artifact: types.Artifact, path: Path | str = ".") -> Path:
        """Fetch the file of an artifact.

        Args:
            artifact: of this workspace.
            path: of the file, or a folder that is there, into which it goes under its own name.

        Returns:
            The file. It is there whole and as its hash says, or not at all.

        Raises:
            BadAnswer: what came has another hash.
        """
        where = await self._in_workspace(f"artifacts/{_part(artifact.id)}/content/")
        with Landing(artifact, path) as landing:
            await self._fetch(Request("GET", where, type(None)), landing)
        return landing.path

    # The ways to the server that everything above goes.

    async def _run_info(self, run: UUID | str) -> types.Run:
        return await self._ask(Request("GET", await self._in_workspace(f"runs/{_part(run)}/"), types.Run))

    async def _in_workspace(self, path: str) -> str:
        slug = self._slug or (await self.workspace()).slug
        return f"/workspaces/{_part(slug)}/{path}"

    async def _make(self, path: str, body: Any, answer: type[T]) -> T:
        return await self._ask(Request("POST", await self._in_workspace(path), answer, body=body, key=new_key()))

    async def _pages(self, path: str, answer: Any, query: Mapping[str, str] | None = None) -> AsyncIterator[Any]:
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            asked = {**(query or {}), **({} if cursor is None else {"cursor": cursor})}
            page = await self._ask(Request("GET", path, answer, asked))
            for one in page.results:
                yield one
            if page.next is None:
                return
            # The place in the list is all that is taken of the address: the rest is as the server sees itself.
            cursor = next(iter(parse_qs(urlsplit(page.next).query).get("cursor", [])), None)
            if cursor is None or cursor in seen:
                raise BadAnswer(f"the list {path} does not come to an end")
            seen.add(cursor)

    async def _ask(self, request: Request[T]) -> T:
        async def ask() -> T:
            answer = await self._transport.send(request.method, request.target, request.headers, request.content)
            return read(request, answer)

        return await self._again(request, ask)

    async def _fetch(self, request: Request[None], landing: Landing) -> None:
        async def fetch() -> None:
            landing.begin()
            answer = await self._transport.fetch(request.target, landing.take)
            if answer.status != 200:
                read(request, answer)
                raise BadAnswer(f"the server answered {answer.status}, not the file")

        await self._again(request, fetch)

    async def _again(self, request: Request[Any], ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer, for as long as the client is patient."""
        sent = 0
        while True:
            sent += 1
            try:
                return await ask()
            except ClientError as error:
                pause = self._retry.pause(request, sent, error)
                if pause is None:
                    raise
            await self._transport.sleep(pause)


class AsyncRun:
    """A run on the server.

    Attributes:
        info: what was last known of it; `refresh` asks anew.
        warnings: what did not go as it should when it was submitted, though the run is kept.
    """

    def __init__(self, client: AsyncClient, info: types.Run, warnings: Sequence[str] = ()) -> None:
        self._client = client
        self.info = info
        self.warnings = list(warnings)

    @property
    def id(self) -> UUID:
        return self.info.id

    @property
    def state(self) -> str:
        """`queued`, `running`, `succeeded`, `failed` or `cancelled`, as last known."""
        return self.info.state

    @property
    def is_over(self) -> bool:
        return self.state in FINAL

    @property
    def url(self) -> str:
        """Its page."""
        return f"{self._client.url}/w/{self._client._slug}/runs/{self.id}/"

    def __repr__(self) -> str:
        return f"<Run {self.id} {self.info.graph.name!r} seed {self.info.seed}: {self.state} {self.info.progress:.0%}>"

    def _repr_html_(self) -> str:
        info = self.info
        error = f"<p>{html.escape(info.error.message)} {html.escape(info.error.mend)}</p>" if info.error else ""
        return (
            f"<p><a href='{html.escape(self.url, quote=True)}'>{html.escape(info.graph.name)}</a>, seed {info.seed}: "
            f"{html.escape(info.state)} <progress max='1' value='{info.progress}'></progress> "
            f"{info.tick:,} of {info.ticks:,} ticks</p>{error}"
        )

    async def refresh(self) -> AsyncRun:
        """Ask how it is now."""
        self.info = await self._client._run_info(self.id)
        return self

    async def events(self, after: int = 0) -> AsyncIterator[types.RunEvent]:
        """Its events so far, in order, from the one after number `after` on."""
        while True:
            page = await self._events(after)
            for event in page:
                after = event.seq
                yield event
            if len(page) < EVENTS_AT_ONCE:
                return

    async def _events(self, after: int) -> list[types.RunEvent]:
        path = await self._path("events/")
        return await self._client._ask(Request("GET", path, list[types.RunEvent], {"after": after}))

    async def follow(
        self, ports: Sequence[str] = (), after: int = 0, rate: float = 30.0, patience: float = 300.0
    ) -> AsyncIterator[Update]:
        """Everything that happens, from the first event on, until the run is over.

        A connection that is lost is made again, and goes on after the last event that was heard: none is missed and
        none comes twice. Where sockets do not get through, the run is asked about every second, and there are no
        frames.

        Args:
            ports: `node.port` whose values are wanted, as `Frame`s.
            after: number of the last event that is known already.
            rate: frames a second of each port, at most 60.
            patience: seconds for which a server that does not answer is waited for.
        """
        async for update in self._follow(Feed(after, ports, rate), patience):
            yield update

    async def _follow(self, feed: Feed, patience: float) -> AsyncIterator[Update]:
        next_socket = 0.0
        heard = time.monotonic()
        while not feed.ended(time.monotonic()):
            if time.monotonic() >= next_socket:
                feed.failures += 1
                async for update in self._heard(feed):
                    heard = time.monotonic()
                    yield update
                if feed.ended(time.monotonic()):
                    return
                next_socket = time.monotonic() + self._client._retry.delay(feed.failures + 1)
            try:
                info = await self._client._run_info(self.id)
                events = await self._events(feed.last)
                heard = time.monotonic()
            except Unreachable:
                if time.monotonic() - heard > patience:
                    raise
                events = []
            else:
                self.info = info
                for update in feed.polled(info, events):
                    yield update
            if not feed.over and len(events) < EVENTS_AT_ONCE:
                await self._client._transport.sleep(POLL_SECONDS)

    async def _heard(self, feed: Feed) -> AsyncIterator[Update]:
        """What comes over one connection, until it is lost or the run is over."""
        target = "/ws/v1" + await self._path(f"?after={feed.last}")
        try:
            async with self._client._transport.socket(target) as socket:
                async for update in self._messages(feed, socket):
                    yield update
        except (SocketLost, Gap):
            # The API is asked next, which tells why if the run, the key or the server is gone.
            return

    async def _messages(self, feed: Feed, socket: AsyncSocket) -> AsyncIterator[Update]:
        for payload in feed.connected(time.monotonic()):
            await socket.send(payload)
        while not (feed.ended(time.monotonic()) or feed.stale(time.monotonic())):
            for payload in feed.to_say(time.monotonic()):
                await socket.send(payload)
            message = await socket.receive(feed.wait(time.monotonic()))
            if message is not None:
                for update in feed.hear(message, time.monotonic()):
                    yield update

    async def wait(self, timeout: float | None = None, progress: bool = False, patience: float = 300.0) -> AsyncRun:
        """Wait until it is over, however it ends.

        Args:
            timeout: seconds; raises TimeoutError after it. The run goes on.
            progress: show a bar, in a notebook too.
            patience: seconds for which a server that does not answer is waited for.
        """
        feed = Feed(deadline=None if timeout is None else time.monotonic() + timeout)
        with shown(self.info, progress) as show:
            async for update in self._follow(feed, patience):
                show(update)
        await self.refresh()
        if not self.is_over:
            raise TimeoutError(f"run {self.id} is not over after {timeout:g} s; it goes on")
        return self

    async def result(self) -> Result:
        """What it has computed.

        Raises:
            RunNotOver: it goes on; `wait` for it.
            RunNotSucceeded: it has failed or was cancelled; `error` says where and what to do.
        """
        if not self.is_over:
            await self.refresh()
        if not self.is_over:
            raise RunNotOver(f"run {self.id} is {self.state} and has no result yet: wait for it")
        if self.state != "succeeded":
            raise RunNotSucceeded(self.id, self.state, self.info.error)
        return Result(await self._client._ask(Request("GET", await self._path("result/"), dict[str, Any])))

    async def manifest(self) -> types.Manifest:
        """Everything that is needed to compute it again."""
        return await self._client._ask(Request("GET", await self._path("manifest/"), types.Manifest))

    async def reproducibility(self) -> types.Prospect:
        """Whether it can be reproduced on the server, and what is not as it was there."""
        return await self._client._ask(Request("GET", await self._path("reproducibility/"), types.Prospect))

    async def reproduce(self) -> AsyncRun:
        """Queue a run that computes it again; `verdict` of that one says what came of it.

        Raises:
            Conflict: it cannot be; `faults` says why.
        """
        made = await self._client._make(f"runs/{_part(self.id)}/reproduce/", None, types.SubmittedRun)
        return AsyncRun(self._client, types.Run.model_validate(made.model_dump()), made.warnings)

    async def verdict(self) -> types.ReproductionVerdict:
        """Whether it is equal to the run that it reproduces, or where it first differs.

        Raises:
            NotFound: it reproduces none.
        """
        return await self._client._ask(Request("GET", await self._path("verdict/"), types.ReproductionVerdict))

    async def points(self) -> AsyncIterator[types.RunPoint]:
        """The points of a sweep or the iterations of a fit that are done, in their order."""
        async for one in self._client._pages(await self._path("points/"), types.PaginatedRunPointList):
            yield one

    async def table(self) -> list[dict[str, Any]]:
        """The points as rows: number, parameters, seed, metrics and error of each. `frame_of` makes a DataFrame."""
        return [row_of(point) async for point in self.points()]

    async def artifacts(self) -> AsyncIterator[types.Artifact]:
        """What it recorded, and its exports, newest first. `save` of the client fetches one."""
        async for one in self._client.artifacts(self.id):
            yield one

    async def formats(self) -> list[types.Format]:
        """In which formats what it left can be exported, and which ports each takes; none while it goes on."""
        return await self._client._ask(Request("GET", await self._path("formats/"), list[types.Format]))

    async def export(self, format: str, ports: Sequence[str] = (), timeout: float = 600.0) -> types.Artifact:
        """Write what it recorded, or the points of a sweep or fit, in another format, and wait for it.

        Args:
            format: `hdf5`, `parquet`, `netcdf`, `csv`, `npz`, `wav`, `midi` or `png`.
            ports: `node.port` of what is written; none: all that the format takes.
            timeout: seconds; raises TimeoutError after it. The export goes on.

        Raises:
            Invalid: the format does not take the ports; `faults` names those that do.
            Conflict: there is nothing to export.
            ExportFailed: it failed or was cancelled, or its file was deleted.
        """
        said: dict[str, Any] = {"format": format, **({"ports": list(ports)} if ports else {})}
        body = types.NewExport.model_validate(said)
        until = time.monotonic() + timeout
        while True:
            try:
                found = await self._client._make(f"runs/{_part(self.id)}/exports/", body, types.Export)
                break
            except Conflict as refused:
                # What a run recorded becomes a file some seconds after its end.
                if refused.code != "recording_pending" or time.monotonic() > until:
                    raise
            await self._client._transport.sleep(POLL_SECONDS)
        where = await self._client._in_workspace(f"exports/{_part(found.id)}/")
        while found.state in {"queued", "running"}:
            if time.monotonic() > until:
                raise TimeoutError(f"export {found.id} is not over after {timeout:g} s; it goes on")
            await self._client._transport.sleep(POLL_SECONDS)
            found = await self._client._ask(Request("GET", where, types.Export))
        if found.artifact is None:
            raise ExportFailed(found.state, found.error)
        return found.artifact

    async def cancel(self) -> types.RunCommand:
        """Stop it within some seconds. Raises `Conflict` when it is over."""
        return await self._tell("cancel/")

    async def pause(self) -> types.RunCommand:
        """Hold it at the next block of ticks."""
        return await self._tell("pause/")

    async def resume(self) -> types.RunCommand:
        """Let it go on after a pause."""
        return await self._tell("resume/")

    async def set(self, target: str, value: Any) -> types.RunCommand:
        """Set a live parameter, `node.param`, from the next block of ticks on."""
        return await self._tell("controls/", types.Control(target=target, value=value))

    async def trigger(self, target: str) -> types.RunCommand:
        """Fire a trigger input, `node.port`, for one tick."""
        return await self._tell("triggers/", types.Trigger(target=target))

    async def _tell(self, path: str, body: Any = None) -> types.RunCommand:
        return await self._client._ask(Request("POST", await self._path(path), types.RunCommand, body=body))

    async def _path(self, rest: str) -> str:
        return await self._client._in_workspace(f"runs/{_part(self.id)}/{rest}")


def _part(name: object) -> str:
    """A name as one part of a path, whatever is in it."""
    text = str(name)
    if text in {"", ".", ".."}:
        raise ValueError(f'"{text}" is no name')
    return quote(text, safe="")
