"""The client, for programs without a loop. Written by `manage.py generate_client`; do not edit by hand."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

from attractor.client import login, types
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
from attractor.client.sync_transport import Socket, Transport
from attractor.client.transport import SocketLost
from attractor.client.updates import FINAL, Update

T = TypeVar("T")

POLL_SECONDS = 1.0
"""How often a run is asked about where no socket stays open."""
EVENTS_AT_ONCE = 1000
GRAPHS_LOOKED_AT = 100
"""How many of the newest graphs are looked through for one that was made from a preset before."""
DEFAULT_PROJECT = "Command line and notebooks"


class Client:
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
        self._transport = Transport(found.url, found.key, timeout)
        self._slug: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # Who and what there is.

    def me(self) -> types.Me:
        """Whose key it is, and what is known of it."""
        return self._ask(Request("GET", "/me/", types.Me))

    def workspace(self) -> types.Workspace:
        """The key's workspace."""
        found = self._ask(Request("GET", "/workspaces/", list[types.Workspace]))
        if not found:
            raise BadAnswer("the key belongs to no workspace: make a new one on the site")
        self._slug = found[0].slug
        return found[0]

    def presets(self) -> Iterator[types.PresetSummary]:
        """The built-in presets, by category."""
        return self._pages("/presets/", types.PaginatedPresetSummaryList)

    def preset(self, preset: str) -> types.Preset:
        """One preset with its document and the verdicts of its acceptance."""
        return self._ask(Request("GET", f"/presets/{_part(preset)}/", types.Preset))

    def node_kinds(self) -> list[dict[str, Any]]:
        """The node kinds of the server, each as it declares itself."""
        return (self._ask(Request("GET", "/nodes/", types.NodeKinds))).results

    # Projects and graphs.

    def projects(self) -> Iterator[types.Project]:
        """The workspace's projects, newest first."""
        for one in self._pages(self._in_workspace("projects/"), types.PaginatedProjectList):
            yield one

    def create_project(self, name: str) -> types.Project:
        """A new, empty project."""
        return self._make("projects/", types.NewProject(name=name), types.Project)

    def graphs(self) -> Iterator[types.GraphSummary]:
        """The workspace's graphs, newest first."""
        for one in self._pages(self._in_workspace("graphs/"), types.PaginatedGraphSummaryList):
            yield one

    def graph(self, graph: UUID | str) -> types.Graph:
        """One graph with its newest version."""
        return self._ask(Request("GET", self._in_workspace(f"graphs/{_part(graph)}/"), types.Graph))

    def create_graph(self, name: str, spec: Mapping[str, Any], project: UUID | None = None) -> types.Graph:
        """A graph of one's own; a spec that cannot run is refused with every problem (`Invalid.faults`).

        Args:
            spec: nodes, edges and routes.
            project: where it goes; a project for the command line and notebooks unless said.
        """
        where = project or self._default_project()
        return self._make("graphs/", types.NewGraph(project=where, name=name, spec=dict(spec)), types.Graph)

    def use_preset(self, preset: str, project: UUID | None = None) -> types.Graph:
        """A graph of one's own made from a preset."""
        where = project or self._default_project()
        return self._make("graphs/", types.NewGraph(project=where, preset=preset), types.Graph)

    def _default_project(self) -> UUID:
        for project in self.projects():
            if project.name == DEFAULT_PROJECT:
                return project.id
        return (self.create_project(DEFAULT_PROJECT)).id

    # Runs.

    def runs(self) -> Iterator[types.RunSummary]:
        """The workspace's runs, newest first."""
        for one in self._pages(self._in_workspace("runs/"), types.PaginatedRunSummaryList):
            yield one

    def run(self, run: UUID | str) -> Run:
        """One run."""
        return Run(self, self._run_info(run))

    def submit(
        self, graph: UUID | str | types.Graph | types.GraphSummary, seed: int | None = None, ticks: int | None = None
    ) -> Run:
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
        made = self._make("runs/", body, types.SubmittedRun)
        return Run(self, types.Run.model_validate(made.model_dump()), made.warnings)

    def run_preset(self, preset: str, seed: int | None = None, ticks: int | None = None) -> Run:
        """Queue a run of a preset. A graph made from it before is used again if the preset is still the same."""
        document = self.preset(preset)
        looked = 0
        for found in self.graphs():
            looked += 1
            if found.preset == preset and found.version == 1:
                graph = self.graph(found.id)
                if graph.content_hash == document.content_hash:
                    return self.submit(graph, seed, ticks)
            if looked == GRAPHS_LOOKED_AT:
                break
        return self.submit(self.use_preset(preset), seed, ticks)

    def run_file(self, path: Path | str, seed: int | None = None, ticks: int | None = None) -> Run:
        """Queue a run of a file: a preset, or a graph alone. The preset's length counts unless `ticks` is given."""
        found = GraphFile.load(path)
        return self.submit(self.create_graph(found.name, found.spec), seed, ticks or found.ticks)

    def sweep(
        self, graph: UUID | str | types.Graph | types.GraphSummary, axes: Axes, sampling: str = "grid",
        points: int | None = None, metrics: Iterable[str | Mapping[str, Any]] = (), seed: int | None = None,
        ticks: int | None = None,
    ) -> Run:  # fmt: skip
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
        made = self._make("sweeps/", body, types.SubmittedRun)
        return Run(self, types.Run.model_validate(made.model_dump()), made.warnings)

    def compare(self, runs: Iterable[UUID | str], sort: str = "") -> types.Comparison:
        """Parameters and metrics of 2 to 100 runs, all of them in one answer.

        Args:
            sort: a parameter or metric, `-` before it for descending; without one the order of `runs`.

        Raises:
            NotFound: one of them is not there.
        """
        query: dict[str, str | int] = {"runs": ",".join(str(one) for one in runs), "page_size": 100}
        if sort:
            query["sort"] = sort
        return self._ask(Request("GET", self._in_workspace("runs/compare/"), types.Comparison, query))

    def cancel_runs(self, runs: Iterable[UUID | str]) -> types.Cancelled:
        """Stop up to 100 runs, all or none."""
        body = types.CancelledRuns.model_validate({"runs": list(runs)})
        return self._ask(Request("POST", self._in_workspace("runs/cancel/"), types.Cancelled, body=body))

    # Files.

    def artifacts(self, run: UUID | str | None = None) -> Iterator[types.Artifact]:
        """What runs recorded, exports and imported files, newest first; of one run, or of the whole workspace."""
        query = {} if run is None else {"run": str(run)}
        for one in self._pages(self._in_workspace("artifacts/"), types.PaginatedArtifactList, query):
            yield one

    def save(self, artifact: types.Artifact, path: Path | str = ".") -> Path:
        """Fetch the file of an artifact.

        Args:
            artifact: of this workspace.
            path: of the file, or a folder that is there, into which it goes under its own name.

        Returns:
            The file. It is there whole and as its hash says, or not at all.

        Raises:
            BadAnswer: what came has another hash.
        """
        where = self._in_workspace(f"artifacts/{_part(artifact.id)}/content/")
        with Landing(artifact, path) as landing:
            self._fetch(Request("GET", where, type(None)), landing)
        return landing.path

    # The ways to the server that everything above goes.

    def _run_info(self, run: UUID | str) -> types.Run:
        return self._ask(Request("GET", self._in_workspace(f"runs/{_part(run)}/"), types.Run))

    def _in_workspace(self, path: str) -> str:
        slug = self._slug or (self.workspace()).slug
        return f"/workspaces/{_part(slug)}/{path}"

    def _make(self, path: str, body: Any, answer: type[T]) -> T:
        return self._ask(Request("POST", self._in_workspace(path), answer, body=body, key=new_key()))

    def _pages(self, path: str, answer: Any, query: Mapping[str, str] | None = None) -> Iterator[Any]:
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            asked = {**(query or {}), **({} if cursor is None else {"cursor": cursor})}
            page = self._ask(Request("GET", path, answer, asked))
            for one in page.results:
                yield one
            if page.next is None:
                return
            # The place in the list is all that is taken of the address: the rest is as the server sees itself.
            cursor = next(iter(parse_qs(urlsplit(page.next).query).get("cursor", [])), None)
            if cursor is None or cursor in seen:
                raise BadAnswer(f"the list {path} does not come to an end")
            seen.add(cursor)

    def _ask(self, request: Request[T]) -> T:
        def ask() -> T:
            answer = self._transport.send(request.method, request.target, request.headers, request.content)
            return read(request, answer)

        return self._again(request, ask)

    def _fetch(self, request: Request[None], landing: Landing) -> None:
        def fetch() -> None:
            landing.begin()
            answer = self._transport.fetch(request.target, landing.take)
            if answer.status != 200:
                read(request, answer)
                raise BadAnswer(f"the server answered {answer.status}, not the file")

        self._again(request, fetch)

    def _again(self, request: Request[Any], ask: Callable[[], T]) -> T:
        """Ask until there is an answer, for as long as the client is patient."""
        sent = 0
        while True:
            sent += 1
            try:
                return ask()
            except ClientError as error:
                pause = self._retry.pause(request, sent, error)
                if pause is None:
                    raise
            self._transport.sleep(pause)


class Run:
    """A run on the server.

    Attributes:
        info: what was last known of it; `refresh` asks anew.
        warnings: what did not go as it should when it was submitted, though the run is kept.
    """

    def __init__(self, client: Client, info: types.Run, warnings: Sequence[str] = ()) -> None:
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

    def refresh(self) -> Run:
        """Ask how it is now."""
        self.info = self._client._run_info(self.id)
        return self

    def events(self, after: int = 0) -> Iterator[types.RunEvent]:
        """Its events so far, in order, from the one after number `after` on."""
        while True:
            page = self._events(after)
            for event in page:
                after = event.seq
                yield event
            if len(page) < EVENTS_AT_ONCE:
                return

    def _events(self, after: int) -> list[types.RunEvent]:
        path = self._path("events/")
        return self._client._ask(Request("GET", path, list[types.RunEvent], {"after": after}))

    def follow(
        self, ports: Sequence[str] = (), after: int = 0, rate: float = 30.0, patience: float = 300.0
    ) -> Iterator[Update]:
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
        for update in self._follow(Feed(after, ports, rate), patience):
            yield update

    def _follow(self, feed: Feed, patience: float) -> Iterator[Update]:
        next_socket = 0.0
        heard = time.monotonic()
        while not feed.ended(time.monotonic()):
            if time.monotonic() >= next_socket:
                feed.failures += 1
                for update in self._heard(feed):
                    heard = time.monotonic()
                    yield update
                if feed.ended(time.monotonic()):
                    return
                next_socket = time.monotonic() + self._client._retry.delay(feed.failures + 1)
            try:
                info = self._client._run_info(self.id)
                events = self._events(feed.last)
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
                self._client._transport.sleep(POLL_SECONDS)

    def _heard(self, feed: Feed) -> Iterator[Update]:
        """What comes over one connection, until it is lost or the run is over."""
        target = "/ws/v1" + self._path(f"?after={feed.last}")
        try:
            with self._client._transport.socket(target) as socket:
                for update in self._messages(feed, socket):
                    yield update
        except (SocketLost, Gap):
            # The API is asked next, which tells why if the run, the key or the server is gone.
            return

    def _messages(self, feed: Feed, socket: Socket) -> Iterator[Update]:
        for payload in feed.connected(time.monotonic()):
            socket.send(payload)
        while not (feed.ended(time.monotonic()) or feed.stale(time.monotonic())):
            for payload in feed.to_say(time.monotonic()):
                socket.send(payload)
            message = socket.receive(feed.wait(time.monotonic()))
            if message is not None:
                for update in feed.hear(message, time.monotonic()):
                    yield update

    def wait(self, timeout: float | None = None, progress: bool = False, patience: float = 300.0) -> Run:
        """Wait until it is over, however it ends.

        Args:
            timeout: seconds; raises TimeoutError after it. The run goes on.
            progress: show a bar, in a notebook too.
            patience: seconds for which a server that does not answer is waited for.
        """
        feed = Feed(deadline=None if timeout is None else time.monotonic() + timeout)
        with shown(self.info, progress) as show:
            for update in self._follow(feed, patience):
                show(update)
        self.refresh()
        if not self.is_over:
            raise TimeoutError(f"run {self.id} is not over after {timeout:g} s; it goes on")
        return self

    def result(self) -> Result:
        """What it has computed.

        Raises:
            RunNotOver: it goes on; `wait` for it.
            RunNotSucceeded: it has failed or was cancelled; `error` says where and what to do.
        """
        if not self.is_over:
            self.refresh()
        if not self.is_over:
            raise RunNotOver(f"run {self.id} is {self.state} and has no result yet: wait for it")
        if self.state != "succeeded":
            raise RunNotSucceeded(self.id, self.state, self.info.error)
        return Result(self._client._ask(Request("GET", self._path("result/"), dict[str, Any])))

    def manifest(self) -> types.Manifest:
        """Everything that is needed to compute it again."""
        return self._client._ask(Request("GET", self._path("manifest/"), types.Manifest))

    def reproducibility(self) -> types.Prospect:
        """Whether it can be reproduced on the server, and what is not as it was there."""
        return self._client._ask(Request("GET", self._path("reproducibility/"), types.Prospect))

    def reproduce(self) -> Run:
        """Queue a run that computes it again; `verdict` of that one says what came of it.

        Raises:
            Conflict: it cannot be; `faults` says why.
        """
        made = self._client._make(f"runs/{_part(self.id)}/reproduce/", None, types.SubmittedRun)
        return Run(self._client, types.Run.model_validate(made.model_dump()), made.warnings)

    def verdict(self) -> types.ReproductionVerdict:
        """Whether it is equal to the run that it reproduces, or where it first differs.

        Raises:
            NotFound: it reproduces none.
        """
        return self._client._ask(Request("GET", self._path("verdict/"), types.ReproductionVerdict))

    def points(self) -> Iterator[types.RunPoint]:
        """The points of a sweep or the iterations of a fit that are done, in their order."""
        for one in self._client._pages(self._path("points/"), types.PaginatedRunPointList):
            yield one

    def table(self) -> list[dict[str, Any]]:
        """The points as rows: number, parameters, seed, metrics and error of each. `frame_of` makes a DataFrame."""
        return [row_of(point) for point in self.points()]

    def artifacts(self) -> Iterator[types.Artifact]:
        """What it recorded, and its exports, newest first. `save` of the client fetches one."""
        for one in self._client.artifacts(self.id):
            yield one

    def formats(self) -> list[types.Format]:
        """In which formats what it left can be exported, and which ports each takes; none while it goes on."""
        return self._client._ask(Request("GET", self._path("formats/"), list[types.Format]))

    def export(self, format: str, ports: Sequence[str] = (), timeout: float = 600.0) -> types.Artifact:
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
                found = self._client._make(f"runs/{_part(self.id)}/exports/", body, types.Export)
                break
            except Conflict as refused:
                # What a run recorded becomes a file some seconds after its end.
                if refused.code != "recording_pending" or time.monotonic() > until:
                    raise
            self._client._transport.sleep(POLL_SECONDS)
        where = self._client._in_workspace(f"exports/{_part(found.id)}/")
        while found.state in {"queued", "running"}:
            if time.monotonic() > until:
                raise TimeoutError(f"export {found.id} is not over after {timeout:g} s; it goes on")
            self._client._transport.sleep(POLL_SECONDS)
            found = self._client._ask(Request("GET", where, types.Export))
        if found.artifact is None:
            raise ExportFailed(found.state, found.error)
        return found.artifact

    def cancel(self) -> types.RunCommand:
        """Stop it within some seconds. Raises `Conflict` when it is over."""
        return self._tell("cancel/")

    def pause(self) -> types.RunCommand:
        """Hold it at the next block of ticks."""
        return self._tell("pause/")

    def resume(self) -> types.RunCommand:
        """Let it go on after a pause."""
        return self._tell("resume/")

    def set(self, target: str, value: Any) -> types.RunCommand:
        """Set a live parameter, `node.param`, from the next block of ticks on."""
        return self._tell("controls/", types.Control(target=target, value=value))

    def trigger(self, target: str) -> types.RunCommand:
        """Fire a trigger input, `node.port`, for one tick."""
        return self._tell("triggers/", types.Trigger(target=target))

    def _tell(self, path: str, body: Any = None) -> types.RunCommand:
        return self._client._ask(Request("POST", self._path(path), types.RunCommand, body=body))

    def _path(self, rest: str) -> str:
        return self._client._in_workspace(f"runs/{_part(self.id)}/{rest}")


def _part(name: object) -> str:
    """A name as one part of a path, whatever is in it."""
    text = str(name)
    if text in {"", ".", ".."}:
        raise ValueError(f'"{text}" is no name')
    return quote(text, safe="")
