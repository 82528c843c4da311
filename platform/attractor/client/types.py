"""Requests and answers of the API. Written by `manage.py generate_client`; do not edit by hand."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, RootModel

from attractor.client.model import Model


class Applied(Model):
    graph: UUID
    version: int
    content_hash: str


class Apply(Model):
    onto_newest: bool = False
    """
    Also when the graph has a newer version than the fitted one: onto that one.
    """


class Audit(Model):
    id: UUID
    at: AwareDatetime
    action: str
    actor: str | None = None
    actor_id: Annotated[UUID | None, Field(...)]
    key: Annotated[UUID | None, Field(...)]
    """
    The API key that the actor came with.
    """
    object_type: str
    object_id: str
    before: str
    """
    SHA-256 of the row before; empty: there was none.
    """
    after: str
    """
    SHA-256 of the row after; empty: there is none.
    """
    request_id: str
    """
    Of the request, as its answer says.
    """
    data: dict[str, Any]


class Cancelled(Model):
    told: list[UUID]
    """
    Runs that are told to stop.
    """
    over: list[UUID]
    """
    Runs that were over already.
    """


class CancelledRuns(Model):
    runs: Annotated[list[UUID], Field(max_length=100, min_length=1)]


class Circumstance(Model):
    what: str
    """
    `tier`, `device`, `versions.torch`, `kinds.osc.array`, `weights.detector`.
    """
    then: Annotated[Any | None, Field(...)]
    now: Annotated[Any | None, Field(...)]


class Control(Model):
    target: Annotated[str, Field(max_length=130)]
    """
    `node.param` of a live parameter.
    """
    value: Any


class ControlChange(Model):
    tick: int
    target: str
    value: Any
    """
    True for a trigger.
    """


class CurrentState(Model):
    etag: str
    version: int | None = None
    """
    Number of a graph's newest version.
    """


class Curve(Model):
    run: UUID
    x: list[float]
    y: list[float | None]


class Curves(Model):
    name: str
    curves: list[Curve]


class Estimate(Model):
    content_hash: str
    nodes: int
    ticks: int
    memory_bytes: int
    flops_per_tick: float
    """
    Floating-point operations.
    """
    flops: float
    """
    Floating-point operations of all ticks.
    """
    simulated_s: float
    """
    Seconds of model time.
    """
    expected_s: Annotated[float | None, Field(...)]
    """
    Seconds on a worker, by the speed of this workspace's newest runs; null where there are none.
    """


class ExportError(Model):
    code: str
    message: str
    mend: str


class Fault(Model):
    place: str
    """
    What it is about, such as `nodes.array.params.coupling`.
    """
    message: str
    mend: str
    """
    What to do about it.
    """


class FirstDifference(Model):
    tick: int | None = None
    """
    The first tick that is known to differ.
    """
    since: int | None = None
    """
    The last tick before it that is known to be equal; -1 when none is.
    """
    places: list[str] | None = None
    """
    `node.port` of all that differ in that tick, the one where it began first.
    """
    hidden: bool | None = None
    """
    Every port said the same; `places` are nodes whose state at the end differs.
    """
    point: int | None = None
    params: dict[str, Any] | None = None


class Fitted(Model):
    target: Annotated[str, Field(max_length=130)]
    """
    `node.param` of a live number with a fraction.
    """
    min: float | None = None
    max: float | None = None


class Format(Model):
    format: Literal["csv", "hdf5", "midi", "netcdf", "npz", "parquet", "png", "wav"]
    """
    * `csv` - csv
    * `hdf5` - hdf5
    * `midi` - midi
    * `netcdf` - netcdf
    * `npz` - npz
    * `parquet` - parquet
    * `png` - png
    * `wav` - wav
    """
    ports: list[str]
    """
    Ports that it takes; a table of points has none.
    """
    one: bool
    """
    Whether a file holds one port only.
    """


class Graph(Model):
    id: UUID
    project: UUID
    preset: Annotated[str | None, Field(...)]
    name: Annotated[str, Field(max_length=160)]
    version: int
    created_at: AwareDatetime
    archived_at: Annotated[AwareDatetime | None, Field(...)]
    content_hash: str
    spec: dict[str, Any]
    """
    Nodes, edges and routes of the newest version.
    """


class GraphReplacement(Model):
    name: Annotated[str, Field(max_length=160)]
    spec: Any
    """
    Nodes, edges and routes.
    """


class GraphSummary(Model):
    id: UUID
    project: UUID
    preset: Annotated[str | None, Field(...)]
    name: Annotated[str, Field(max_length=160)]
    version: int
    created_at: AwareDatetime
    archived_at: Annotated[AwareDatetime | None, Field(...)]


class GraphToCheck(Model):
    spec: Any
    """
    Nodes, edges and routes.
    """
    ticks: Annotated[int, Field(ge=0, le=9223372036854775807)] = 1000
    """
    Length.
    """


class Key(Model):
    id: UUID
    name: str
    """
    What it is for.
    """
    hint: str
    """
    How the secret begins.
    """
    owner: str
    """
    Who works by it.
    """
    of_workspace: bool
    """
    Whether the workspace owns it, and its machine member works by it.
    """
    verbs: Annotated[list[str] | None, Field(...)]
    """
    null: all of its holder's.
    """
    networks: list[str]
    """
    Empty: it opens from everywhere.
    """
    created_by: str | None = None
    created_at: AwareDatetime
    expires_at: Annotated[AwareDatetime | None, Field(...)]
    old_until: Annotated[AwareDatetime | None, Field(...)]
    """
    For so long the secret before opens too.
    """
    last_used_at: Annotated[AwareDatetime | None, Field(...)]
    """
    To the minute.
    """
    last_used_from: Annotated[str | None, Field(...)]


class Loss(Model):
    port: Annotated[str, Field(max_length=130)]
    """
    `node.port` of an output of real numbers.
    """
    target: Any
    """
    A number, or lists of the port's shape; with one more axis in front one such for every tick.
    """
    start: Annotated[int, Field(ge=0)] = 0


class MadeKey(Model):
    id: UUID
    name: str
    """
    What it is for.
    """
    hint: str
    """
    How the secret begins.
    """
    owner: str
    """
    Who works by it.
    """
    of_workspace: bool
    """
    Whether the workspace owns it, and its machine member works by it.
    """
    verbs: Annotated[list[str] | None, Field(...)]
    """
    null: all of its holder's.
    """
    networks: list[str]
    """
    Empty: it opens from everywhere.
    """
    created_by: str | None = None
    created_at: AwareDatetime
    expires_at: Annotated[AwareDatetime | None, Field(...)]
    old_until: Annotated[AwareDatetime | None, Field(...)]
    """
    For so long the secret before opens too.
    """
    last_used_at: Annotated[AwareDatetime | None, Field(...)]
    """
    To the minute.
    """
    last_used_from: Annotated[str | None, Field(...)]
    secret: str
    """
    The key itself. It is told here and never again.
    """


class ManifestGraph(Model):
    id: UUID
    version: int
    content_hash: str


class Me(Model):
    email: str
    name: str
    key: Annotated[Key | None, Field(...)]
    """
    The API key of this request; null in a session of the site.
    """


class Port(RootModel[str]):
    root: Annotated[str, Field(max_length=130)]


class NewExport(Model):
    format: Literal["csv", "hdf5", "midi", "netcdf", "npz", "parquet", "png", "wav"]
    """
    * `csv` - csv
    * `hdf5` - hdf5
    * `midi` - midi
    * `netcdf` - netcdf
    * `npz` - npz
    * `parquet` - parquet
    * `png` - png
    * `wav` - wav
    """
    ports: Annotated[list[Port] | None, Field(max_length=256)] = None
    """
    `node.port` of what is written; left out: all that the format takes.
    """


class NewFit(Model):
    graph: UUID
    params: Annotated[list[Fitted], Field(max_length=64, min_length=1)]
    loss: Loss
    iterations: Annotated[int, Field(ge=1)] = 100
    rate: Annotated[float, Field(ge=1e-09, le=10.0)] = 0.02
    """
    Adam's step size, in units of a parameter's range.
    """
    window: Annotated[int | None, Field(ge=1, le=100000)] = None
    """
    Ticks between cuts of the gradient; 100 unless said.
    """
    seed: int | None = None
    """
    0 to 2^63 - 1; drawn when left out.
    """
    ticks: int | None = None
    """
    Length of every evaluation.
    """
    max_seconds: int | None = None
    """
    Time for which it may hold workers, in all, before it fails; the quota's when left out.
    """


class NewGraph(Model):
    project: UUID
    name: Annotated[str | None, Field(max_length=160)] = None
    spec: Any | None = None
    """
    Nodes, edges and routes.
    """
    preset: Annotated[str | None, Field(pattern="^[-a-zA-Z0-9_]+$")] = None


class Network(RootModel[str]):
    root: Annotated[str, Field(max_length=60)]


class NewProject(Model):
    name: Annotated[str, Field(max_length=160)]


class Event(RootModel[str]):
    root: Annotated[str, Field(max_length=60)]


class NewWebhook(Model):
    url: Annotated[str, Field(max_length=500)]
    events: Annotated[list[Event], Field(max_length=4, min_length=1)]
    description: Annotated[str | None, Field(max_length=200)] = None


class NewWorkspace(Model):
    name: Annotated[str, Field(max_length=160)]


class NodeKinds(Model):
    results: list[dict[str, Any]]
    """
    Declarations: kind, title, ports, parameters, equation, references.
    """


class Obstacle(Model):
    place: str
    message: str
    mend: str


class PaginatedAuditList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[Audit]


class PaginatedGraphSummaryList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[GraphSummary]


class PatchedGraphEdit(Model):
    name: Annotated[str | None, Field(max_length=160)] = None
    spec: Any | None = None
    """
    Nodes, edges and routes of the next version.
    """
    archived: bool | None = None
    """
    false takes an archived graph back.
    """


class PatchedProjectEdit(Model):
    name: Annotated[str | None, Field(max_length=160)] = None
    archived: bool | None = None
    """
    false takes an archived project back.
    """


class PatchedWebhookChange(Model):
    url: Annotated[str | None, Field(max_length=500)] = None
    events: Annotated[list[Event] | None, Field(max_length=4, min_length=1)] = None
    description: Annotated[str | None, Field(max_length=200)] = None
    active: bool | None = None


class AllowedDomain(RootModel[str]):
    root: Annotated[str, Field(max_length=253)]


class Person(Model):
    id: UUID
    name: str


class PresetSummary(Model):
    id: Annotated[str, Field(max_length=60, pattern="^[-a-zA-Z0-9_]+$")]
    version: Annotated[int, Field(ge=0, le=2147483647)]
    title: Annotated[str, Field(max_length=160)]
    category: Annotated[str, Field(max_length=60)]
    tags: list[str]
    summary: str
    content_hash: Annotated[str, Field(max_length=80)]
    """
    Hash of the preset's graph.
    """


class Problem(Model):
    type: str
    title: str
    status: int
    detail: str
    code: str
    """
    Stable name of the kind of error.
    """
    problems: list[Fault]


class Project(Model):
    id: UUID
    name: Annotated[str, Field(max_length=160)]
    created_at: AwareDatetime
    archived_at: Annotated[AwareDatetime | None, Field(...)]


class Prospect(Model):
    possible: bool
    faults: list[Obstacle]
    """
    Why not.
    """
    changed: list[Circumstance]
    note: str
    """
    What it cannot be compared by, because the trail of the run is gone.
    """


class RecordedPort(Model):
    node: Annotated[str, Field(max_length=64)]
    port: Annotated[str, Field(max_length=64)]
    every: Annotated[int | None, Field(ge=1, le=2147483648)] = None
    """
    Of so many ticks the first value; 1 when left out.
    """


class Rerun(Model):
    max_seconds: int | None = None
    """
    Time for which it may hold workers before it fails; that of the other when left out.
    """


class Retention(Model):
    artifact_days: Annotated[int | None, Field(ge=1, le=36500)]
    """
    Artifacts of runs are deleted so many days after they were made; null: never.
    """
    checkpoint_days: Annotated[int, Field(ge=0, le=3650)]
    """
    Checkpoints outlive their run by so many days.
    """


class Rotation(Model):
    old_hours: Annotated[int | None, Field(ge=0, le=168)] = None
    """
    For so long the secret before opens too, 24 without it.
    """


class RunAttempt(Model):
    number: Annotated[int, Field(ge=0, le=2147483647)]
    state: Literal["running", "succeeded", "failed", "cancelled", "lost", "released"] | None = None
    """
    * `running` - Running
    * `succeeded` - Succeeded
    * `failed` - Failed
    * `cancelled` - Cancelled
    * `lost` - Lost
    * `released` - Released
    """
    started_at: AwareDatetime
    heartbeat_at: AwareDatetime
    lease_expires_at: AwareDatetime
    reached: Annotated[int | None, Field(ge=0, le=9223372036854775807)] = None
    """
    Tick of the last checkpoint that it made; in a sweep or fit, points that were done then.
    """
    finished_at: AwareDatetime | None = None


class RunCheckpoint(Model):
    content: Annotated[str, Field(max_length=64)]
    """
    SHA-256 of what it holds, in hexadecimal.
    """
    attempt: Annotated[int, Field(ge=0, le=2147483647)]
    """
    Number of the attempt that made it.
    """
    tick: Annotated[int, Field(ge=0, le=9223372036854775807)]
    size: Annotated[int, Field(ge=0, le=9223372036854775807)]
    """
    Bytes.
    """
    created_at: AwareDatetime


class RunCommand(Model):
    seq: int
    kind: Literal["cancel", "pause", "resume", "control", "trigger"]
    """
    * `cancel` - Cancel
    * `pause` - Pause
    * `resume` - Resume
    * `control` - Set a control
    * `trigger` - Fire a trigger
    """
    payload: dict[str, Any]
    created_at: AwareDatetime
    applied_at: Annotated[AwareDatetime | None, Field(...)]
    applied_tick: Annotated[int | None, Field(...)]


class RunError(Model):
    code: str
    node: Annotated[str | None, Field(...)]
    tick: Annotated[int | None, Field(...)]
    message: str
    mend: str


class RunEvent(Model):
    seq: int
    kind: Literal["status", "log", "error", "control", "metric", "result", "points"]
    """
    * `status` - Status
    * `log` - Log
    * `error` - Error
    * `control` - Control
    * `metric` - Metric
    * `result` - Result
    * `points` - Points
    """
    tick: Annotated[int | None, Field(...)]
    """
    Null when it happened outside the run's clock.
    """
    payload: dict[str, Any]
    at: AwareDatetime


class RunGraph(Model):
    id: UUID
    name: str
    version: int
    content_hash: str


class RunGraphWithSpec(Model):
    id: UUID
    name: str
    version: int
    content_hash: str
    spec: dict[str, Any]


class RunPlace(Model):
    position: int
    """
    1 for the run that is taken next.
    """
    starts_in_s: Annotated[float | None, Field(...)]
    """
    Estimated seconds until a worker takes it.
    """


class RunPoint(Model):
    index: Annotated[int, Field(ge=0, le=2147483647)]
    """
    0, 1, 2, … in the order of the design.
    """
    state: Literal["succeeded", "failed"]
    """
    * `succeeded` - Succeeded
    * `failed` - Failed
    """
    params: dict[str, Any]
    seed: Annotated[int, Field(ge=-9223372036854775808, le=9223372036854775807)]
    metrics: dict[str, float | None]
    error: Annotated[RunError | None, Field(...)]
    result_hash: Annotated[str | None, Field(max_length=80)] = None
    carried: bool | None = None
    """
    Taken over from the run which this one repeats.
    """
    finished_at: AwareDatetime | None = None


class RunPreset(Model):
    id: str
    title: str


class RunPresetWithControls(Model):
    id: str
    title: str
    controls: list[dict[str, Any]]
    actions: list[dict[str, Any]]


class RunUrls(Model):
    events: str
    result: str
    cancel: str
    pause: str
    resume: str
    controls: str
    triggers: str
    points: str
    rerun: str
    apply: str
    manifest: str
    reproducibility: str
    reproduce: str
    verdict: str
    formats: str
    exports: str
    recording: str
    artifacts: str
    socket: str


class Secret(Model):
    secret: str


class Series(Model):
    run: UUID
    samples: int
    """
    Values that it has.
    """
    not_finite: int
    """
    How many of them are no finite numbers.
    """
    thinned: bool
    """
    Whether there are fewer here: the smallest and the largest of each of even intervals, and both ends.
    """
    x: list[float]
    """
    Growing.
    """
    y: list[float | None]
    """
    Null: not finite.
    """


class SharedPort(Model):
    port: str
    """
    `node.port`.
    """
    kind: str
    """
    Of its values, in the first run that recorded it.
    """
    unit: str
    elements: int
    """
    Numbers of a value that one may be chosen from.
    """
    runs: int
    """
    How many of the runs recorded it.
    """


class StaleProblem(Model):
    type: str
    title: str
    status: int
    detail: str
    code: str
    """
    Stable name of the kind of error.
    """
    problems: list[Fault]
    current: CurrentState


class SubmittedRun(Model):
    id: UUID
    kind: Literal["single", "sweep", "fit"]
    """
    * `single` - Run
    * `sweep` - Sweep
    * `fit` - Fit
    """
    origin: Annotated[UUID | None, Field(...)]
    points_total: Annotated[int | None, Field(...)]
    """
    Points of a sweep, iterations of a fit.
    """
    points_done: int
    points_failed: int
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    """
    * `queued` - Queued
    * `running` - Running
    * `succeeded` - Succeeded
    * `failed` - Failed
    * `cancelled` - Cancelled
    """
    paused: bool
    seed: int
    """
    Non-negative, below 2^63.
    """
    ticks: int
    """
    Length of the run in ticks of its clock.
    """
    tick: int
    progress: float
    """
    0 to 1.
    """
    eta_s: Annotated[float | None, Field(...)]
    """
    Seconds left, as estimated by the worker.
    """
    ticks_per_s: Annotated[float | None, Field(...)]
    max_seconds: int
    """
    Time for which it may hold workers, in all attempts together; then it fails.
    """
    error: Annotated[RunError | None, Field(...)]
    result_hash: str
    graph: RunGraphWithSpec
    preset: Annotated[RunPresetWithControls | None, Field(...)]
    created_at: AwareDatetime
    started_at: Annotated[AwareDatetime | None, Field(...)]
    finished_at: Annotated[AwareDatetime | None, Field(...)]
    urls: RunUrls
    design: Annotated[dict[str, Any] | None, Field(...)]
    """
    What a sweep or a fit computes.
    """
    recording: list[dict[str, Any]]
    """
    {node, port, every} of what it records.
    """
    recording_bytes: int
    """
    What its recording may take, at most.
    """
    queue: Annotated[RunPlace | None, Field(...)]
    result: Annotated[dict[str, Any] | None, Field(...)]
    warnings: list[str]
    """
    What did not go as it should, though the run is kept.
    """


class Token(Model):
    token: Annotated[str, Field(max_length=200)]
    """
    Out of the message.
    """


class Transfer(Model):
    member: UUID
    """
    Who becomes the owner.
    """


class Trigger(Model):
    target: Annotated[str, Field(max_length=130)]
    """
    `node.port` of a free trigger input.
    """


class Try(Model):
    number: Annotated[int, Field(ge=0, le=2147483647)]
    at: AwareDatetime
    seconds: float
    status: Annotated[int | None, Field(ge=0, le=32767)] = None
    """
    Of the answer; null when there was none.
    """
    error: Annotated[str | None, Field(max_length=300)] = None
    """
    Why there was none, or why it does not count.
    """
    answer: Annotated[str | None, Field(max_length=1000)] = None
    """
    How the answer's body begins.
    """


class Verdict(Model):
    tier: Literal["quick", "full"]
    """
    * `quick` - Quick
    * `full` - Full
    """
    passed: bool
    seeds: Any
    numbers: Any
    code_version: Annotated[str, Field(max_length=80)]
    graph_hash: Annotated[str, Field(max_length=80)]
    applies: bool
    """
    Whether it speaks about the graph that the preset has now.
    """
    at: AwareDatetime | None = None


class Waiting(Model):
    waits_for: Literal["storage", "database"]
    """
    * `storage` - storage
    * `database` - database
    """
    next_try: AwareDatetime
    since: AwareDatetime
    """
    When it was put off first.
    """
    tries: int
    """
    That found something away.
    """
    message: str


class Webhook(Model):
    id: UUID
    url: str
    description: str
    events: list[Literal["run.running", "run.succeeded", "run.failed", "run.cancelled"]]
    active: bool
    inactive_why: str
    """
    For people, when it was not a person.
    """
    created_at: AwareDatetime


class WebhookWithSecret(Model):
    id: UUID
    url: str
    description: str
    events: list[Literal["run.running", "run.succeeded", "run.failed", "run.cancelled"]]
    active: bool
    inactive_why: str
    """
    For people, when it was not a person.
    """
    created_at: AwareDatetime
    secret: Annotated[str | None, Field(...)]
    """
    Verifies messages, by Standard Webhooks. Shown this once; null in an answer repeated.
    """


class Workspace(Model):
    id: UUID
    slug: Annotated[str, Field(max_length=60, pattern="^[-a-zA-Z0-9_]+$")]
    name: Annotated[str, Field(max_length=160)]
    personal: bool
    created_at: AwareDatetime
    require_mfa: bool | None = None
    """
    Only members with two-step sign-in enter; API keys are not asked.
    """
    delete_at: Annotated[AwareDatetime | None, Field(...)]


class WorkspaceSecurity(Model):
    require_mfa: bool
    """
    Only members with two-step sign-in enter, by pages, API and sockets; API keys are not asked.
    """


class Artifact(Model):
    id: UUID
    kind: Literal["recording", "export", "import"]
    """
    * `recording` - Recording
    * `export` - Export
    * `import` - Import
    """
    run: Annotated[UUID | None, Field(...)]
    name: str
    media_type: str
    content: str
    """
    SHA-256 of what it holds, in hexadecimal; its place.
    """
    size: int
    """
    Bytes.
    """
    lineage: dict[str, Any]
    """
    What it was made from: run, attempt, result_hash, export, artifact, content.
    """
    facts: dict[str, Any]
    """
    What is in it.
    """
    created_at: AwareDatetime
    url: str
    """
    Of its file.
    """


class Axis(Model):
    target: Annotated[str, Field(max_length=130)]
    """
    `node.param`, or `seed`.
    """
    values: Annotated[list[Any] | None, Field(max_length=100000, min_length=1)] = None
    """
    One by one.
    """
    min: float | None = None
    max: float | None = None
    steps: Annotated[int | None, Field(ge=2)] = None
    """
    Values of a grid, both ends among them.
    """
    scale: Literal["lin", "log"] | None = None
    """
    `lin` unless said.

    * `lin` - lin
    * `log` - log
    """


class Change(Model):
    field: str
    """
    Such as `params.N`, `kind`, `title`, `delay`.
    """
    change: Literal["added", "removed", "changed"]
    """
    * `added` - added
    * `removed` - removed
    * `changed` - changed
    """
    old: Any | None = None
    """
    Not there if it was added.
    """
    new: Any | None = None
    """
    Not there if it was removed.
    """


class ChangedLink(Model):
    src: str
    dst: str
    changes: list[Change]


class ChangedNode(Model):
    id: str
    changes: list[Change]


class CheckedGraph(Model):
    ok: bool
    """
    Whether it would be taken.
    """
    problems: list[Fault]
    """
    At most 100.
    """
    estimate: Annotated[Estimate | None, Field(...)]
    """
    null where the graph cannot be run.
    """


class ComparedRun(Model):
    id: UUID
    kind: Literal["single", "sweep", "fit"]
    """
    * `single` - Run
    * `sweep` - Sweep
    * `fit` - Fit
    """
    origin: Annotated[UUID | None, Field(...)]
    points_total: Annotated[int | None, Field(...)]
    """
    Points of a sweep, iterations of a fit.
    """
    points_done: int
    points_failed: int
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    """
    * `queued` - Queued
    * `running` - Running
    * `succeeded` - Succeeded
    * `failed` - Failed
    * `cancelled` - Cancelled
    """
    paused: bool
    seed: int
    """
    Non-negative, below 2^63.
    """
    ticks: int
    """
    Length of the run in ticks of its clock.
    """
    tick: int
    progress: float
    """
    0 to 1.
    """
    eta_s: Annotated[float | None, Field(...)]
    """
    Seconds left, as estimated by the worker.
    """
    ticks_per_s: Annotated[float | None, Field(...)]
    max_seconds: int
    """
    Time for which it may hold workers, in all attempts together; then it fails.
    """
    error: Annotated[RunError | None, Field(...)]
    result_hash: str
    graph: RunGraph
    preset: Annotated[RunPreset | None, Field(...)]
    created_at: AwareDatetime
    started_at: Annotated[AwareDatetime | None, Field(...)]
    finished_at: Annotated[AwareDatetime | None, Field(...)]
    urls: RunUrls
    parameters: dict[str, Any]
    """
    By name; what it does not have is not there.
    """
    metrics: dict[str, float]


class Comparison(Model):
    count: int
    """
    Of all runs that are compared.
    """
    differing: list[str]
    """
    Parameters that are not the same in all, exposed controls first.
    """
    common: list[str]
    """
    Parameters that are.
    """
    metrics: list[str]
    """
    Numbers that came out of any of them.
    """
    curves: list[str]
    """
    What can be laid over each other.
    """
    recorded: list[SharedPort]
    """
    Ports of which at least two runs have a recording: their series can be.
    """
    next: Annotated[str | None, Field(...)]
    """
    Address of the next page.
    """
    results: list[ComparedRun]


class Delivery(Model):
    id: UUID
    message: UUID
    """
    The same for every try and every repetition: receivers know it again.
    """
    event: str
    state: Literal["pending", "delivered", "failed"]
    """
    * `pending` - Pending
    * `delivered` - Delivered
    * `failed` - Failed
    """
    tries: int
    due_at: Annotated[AwareDatetime | None, Field(...)]
    created_at: AwareDatetime
    finished_at: Annotated[AwareDatetime | None, Field(...)]
    failure: str
    """
    Why it was given up, where the log of its tries does not say so.
    """


class DeliveryWithLog(Model):
    id: UUID
    message: UUID
    """
    The same for every try and every repetition: receivers know it again.
    """
    event: str
    state: Literal["pending", "delivered", "failed"]
    """
    * `pending` - Pending
    * `delivered` - Delivered
    * `failed` - Failed
    """
    tries: int
    due_at: Annotated[AwareDatetime | None, Field(...)]
    created_at: AwareDatetime
    finished_at: Annotated[AwareDatetime | None, Field(...)]
    failure: str
    """
    Why it was given up, where the log of its tries does not say so.
    """
    payload: dict[str, Any]
    log: list[Try]


class Export(Model):
    id: UUID
    run: UUID
    format: Literal["csv", "hdf5", "midi", "netcdf", "npz", "parquet", "png", "wav"]
    """
    * `csv` - csv
    * `hdf5` - hdf5
    * `midi` - midi
    * `netcdf` - netcdf
    * `npz` - npz
    * `parquet` - parquet
    * `png` - png
    * `wav` - wav
    """
    ports: list[str]
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    """
    * `queued` - Queued
    * `running` - Running
    * `succeeded` - Succeeded
    * `failed` - Failed
    * `cancelled` - Cancelled
    """
    progress: float
    """
    0 to 1.
    """
    waiting: Annotated[Waiting | None, Field(...)]
    """
    Why a queued export is not written now; null: its turn comes.
    """
    error: Annotated[ExportError | None, Field(...)]
    artifact: Annotated[Artifact | None, Field(...)]
    """
    Its file, once there is one that was not deleted.
    """
    created_at: AwareDatetime
    finished_at: Annotated[AwareDatetime | None, Field(...)]


class GraphVersion(Model):
    number: Annotated[int, Field(ge=0, le=2147483647)]
    content_hash: Annotated[str, Field(max_length=80)]
    created_by: Annotated[Person | None, Field(...)]
    """
    null when the account is gone.
    """
    created_at: AwareDatetime
    spec: dict[str, Any]
    """
    Nodes, edges and routes.
    """


class GraphVersionSummary(Model):
    number: Annotated[int, Field(ge=0, le=2147483647)]
    content_hash: Annotated[str, Field(max_length=80)]
    created_by: Annotated[Person | None, Field(...)]
    """
    null when the account is gone.
    """
    created_at: AwareDatetime


class Invitation(Model):
    id: UUID
    email: str
    role: Literal["owner", "admin", "editor", "viewer"]
    """
    * `owner` - Owner
    * `admin` - Administrator
    * `editor` - Editor
    * `viewer` - Viewer
    """
    invited_by: str | None = None
    created_at: AwareDatetime
    mailed_at: Annotated[AwareDatetime | None, Field(...)]
    """
    When the server of mail took the message; null: it has not.
    """
    expires_at: AwareDatetime


class LeftOut(Model):
    run: UUID
    code: Literal[
        "nothing_recorded",
        "run_not_over",
        "recording_pending",
        "recording_gone",
        "recording_damaged",
        "port_not_recorded",
        "no_such_element",
    ]
    """
    * `nothing_recorded` - nothing_recorded
    * `run_not_over` - run_not_over
    * `recording_pending` - recording_pending
    * `recording_gone` - recording_gone
    * `recording_damaged` - recording_damaged
    * `port_not_recorded` - port_not_recorded
    * `no_such_element` - no_such_element
    """
    message: str


class Link(Model):
    id: UUID
    run: Annotated[UUID | None, Field(...)]
    graph: Annotated[UUID | None, Field(...)]
    hint: str
    """
    How the token begins.
    """
    visibility: Literal["anyone", "signed_in"]
    """
    * `anyone` - Anyone with the link
    * `signed_in` - People who are signed in here
    """
    created_by: str | None = None
    created_at: AwareDatetime
    expires_at: AwareDatetime


class LinkDifference(Model):
    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    reordered: list[str]
    """
    Ports whose edges come in another order, where that counts.
    """
    changed: list[ChangedLink]


class MadeLink(Model):
    id: UUID
    run: Annotated[UUID | None, Field(...)]
    graph: Annotated[UUID | None, Field(...)]
    hint: str
    """
    How the token begins.
    """
    visibility: Literal["anyone", "signed_in"]
    """
    * `anyone` - Anyone with the link
    * `signed_in` - People who are signed in here
    """
    created_by: str | None = None
    created_at: AwareDatetime
    expires_at: AwareDatetime
    url: Annotated[str | None, Field(...)]
    """
    The link itself. It is told here and never again; null in an answer repeated.
    """


class Manifest(Model):
    run: UUID
    kind: Literal["single", "sweep", "fit"]
    """
    * `single` - Run
    * `sweep` - Sweep
    * `fit` - Fit
    """
    state: str
    origin: Annotated[UUID | None, Field(...)]
    """
    The run that this one repeats or reproduces.
    """
    graph: ManifestGraph
    graph_hash: str
    seed: int
    ticks: int
    design: Annotated[dict[str, Any] | None, Field(...)]
    """
    Of a sweep or a fit.
    """
    tier: str | None = None
    tier_reason: str | None = None
    device: str | None = None
    """
    Class of the device.
    """
    versions: dict[str, str] | None = None
    kinds: dict[str, int] | None = None
    """
    Versions of the kinds of nodes.
    """
    weights: dict[str, dict[str, Any]] | None = None
    """
    By node, with SHA-256.
    """
    control_log: list[ControlChange]
    result_hash: str


class Measure(Model):
    name: str
    """
    Such as `active_runs`, `memory`, `flops`.
    """
    unit: str
    used: float
    allowed: float
    period: Literal["now", "month"]
    """
    now: of the runs that wait or run; month: of the calendar month, UTC.

    * `now` - now
    * `month` - month
    """


class Member(Model):
    id: UUID
    email: str
    name: str
    role: Literal["owner", "admin", "editor", "viewer", "api"]
    """
    * `owner` - Owner
    * `admin` - Administrator
    * `editor` - Editor
    * `viewer` - Viewer
    * `api` - Machine
    """
    machine: bool
    """
    Whether it is no person, but who the workspace's keys are.
    """
    created_at: AwareDatetime


class Metric(Model):
    port: Annotated[str, Field(max_length=130)]
    """
    `node.port` of a scalar output.
    """
    reduce: Literal["last", "mean", "min", "max"] = "last"
    """
    * `last` - last
    * `mean` - mean
    * `min` - min
    * `max` - max
    """
    start: Annotated[int, Field(ge=0)] = 0
    """
    Only values from this tick on count.
    """


class MyWorkspace(Model):
    id: UUID
    slug: Annotated[str, Field(max_length=60, pattern="^[-a-zA-Z0-9_]+$")]
    name: Annotated[str, Field(max_length=160)]
    personal: bool
    created_at: AwareDatetime
    require_mfa: bool | None = None
    """
    Only members with two-step sign-in enter; API keys are not asked.
    """
    delete_at: Annotated[AwareDatetime | None, Field(...)]
    allowed_domains: list[str]
    default_visibility: Literal["anyone", "signed_in"] | None = None
    """
    Of links that are shared without saying for whom.

    * `anyone` - Anyone with the link
    * `signed_in` - People who are signed in here
    """
    role: Literal["owner", "admin", "editor", "viewer", "api"]
    """
    * `owner` - Owner
    * `admin` - Administrator
    * `editor` - Editor
    * `viewer` - Viewer
    * `api` - Machine
    """
    may: list[
        Literal[
            "workspace.read",
            "project.write",
            "graph.write",
            "run.submit",
            "run.control",
            "artifact.write",
            "link.share",
            "webhook.manage",
            "key.make",
            "audit.read",
            "workspace.manage",
            "workspace.secure",
            "workspace.own",
        ]
    ]


class NewInvitation(Model):
    email: Annotated[str, Field(max_length=254)]
    role: Literal["owner", "admin", "editor", "viewer"]
    """
    * `owner` - Owner
    * `admin` - Administrator
    * `editor` - Editor
    * `viewer` - Viewer
    """


class NewKey(Model):
    name: Annotated[str, Field(max_length=80)]
    expires_in_days: Annotated[int | None, Field(ge=1, le=3650)] = None
    """
    Without it the key holds until it is revoked.
    """
    verbs: (
        list[
            Literal[
                "workspace.read",
                "project.write",
                "graph.write",
                "run.submit",
                "run.control",
                "artifact.write",
                "webhook.manage",
                "audit.read",
            ]
        ]
        | None
    ) = None
    """
    What it allows besides reading, of what its holder may. Without it all of that.
    """
    networks: Annotated[list[Network] | None, Field(max_length=20)] = None
    """
    It opens from these networks only, such as 203.0.113.0/24 or 2001:db8::/32.
    """
    of_workspace: bool | None = None
    """
    The workspace owns it, and its machine member works by it. For who manages it.
    """


class NewLink(Model):
    run: UUID | None = None
    """
    What is shared: a run, or
    """
    graph: UUID | None = None
    """
    a graph, as it is when somebody looks.
    """
    days: Annotated[int | None, Field(ge=1, le=365)] = None
    """
    It leads there for so long, 30 without it.
    """
    visibility: Literal["anyone", "signed_in"] | None = None
    """
    Who may follow it; without it as the workspace says.

    * `anyone` - Anyone with the link
    * `signed_in` - People who are signed in here
    """


class NewRun(Model):
    graph: UUID
    seed: int | None = None
    """
    0 to 2^63 - 1; drawn when left out.
    """
    ticks: int | None = None
    """
    Length; one tick is 1/100 s, or an audio block where that is shorter.
    """
    max_seconds: int | None = None
    """
    Time for which it may hold workers before it fails; the quota's when left out.
    """
    record: Annotated[list[RecordedPort] | None, Field(max_length=256)] = None
    """
    What is recorded: numeric output ports. Left out: metrics and what views show. Empty: nothing.
    """


class NewSweep(Model):
    graph: UUID
    axes: Annotated[list[Axis], Field(max_length=32, min_length=1)]
    sampling: Literal["grid", "random", "sobol"] = "grid"
    """
    * `grid` - grid
    * `random` - random
    * `sobol` - sobol
    """
    points: Annotated[int | None, Field(ge=1)] = None
    """
    How many are drawn; a grid has as many as its axes give.
    """
    metrics: Annotated[list[Metric] | None, Field(max_length=64)] = None
    """
    Left out: the last value of every scalar output.
    """
    seed: int | None = None
    """
    0 to 2^63 - 1; drawn when left out.
    """
    ticks: int | None = None
    """
    Length of the run of every point.
    """
    max_seconds: int | None = None
    """
    Time for which it may hold workers, in all, before it fails; the quota's when left out.
    """


class NodeDifference(Model):
    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    reordered: list[str]
    """
    Ports whose edges come in another order, where that counts.
    """
    changed: list[ChangedNode]


class Overlay(Model):
    port: str
    unit: str
    axis: Literal["seconds", "ticks"]
    """
    * `seconds` - seconds
    * `ticks` - ticks
    """
    element: int
    count: int
    """
    Of all runs that are compared.
    """
    next: Annotated[str | None, Field(...)]
    """
    Address of the next page.
    """
    results: list[Series]
    """
    Of the runs of this page.
    """
    left_out: list[LeftOut]
    """
    Runs of this page that have no series, and why.
    """


class PaginatedArtifactList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[Artifact]


class PaginatedDeliveryList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[Delivery]


class PaginatedExportList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[Export]


class PaginatedGraphVersionSummaryList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[GraphVersionSummary]


class PaginatedInvitationList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[Invitation]


class PaginatedLinkList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[Link]


class PaginatedMemberList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[Member]


class PaginatedPresetSummaryList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[PresetSummary]


class PaginatedProjectList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[Project]


class PaginatedRunAttemptList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[RunAttempt]


class PaginatedRunCheckpointList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[RunCheckpoint]


class PaginatedRunPointList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[RunPoint]


class PaginatedWebhookList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[Webhook]


class PatchedNewRole(Model):
    role: Literal["owner", "admin", "editor", "viewer"] | None = None
    """
    * `owner` - Owner
    * `admin` - Administrator
    * `editor` - Editor
    * `viewer` - Viewer
    """


class PatchedWorkspaceChange(Model):
    name: Annotated[str | None, Field(max_length=160)] = None
    new_address: bool | None = None
    """
    Draw a new slug from the name. Nothing answers at the old one from then on.
    """
    allowed_domains: Annotated[list[AllowedDomain] | None, Field(max_length=50)] = None
    """
    Domains of e-mail addresses that may be invited, without those below them; empty: all.
    """
    default_visibility: Literal["anyone", "signed_in"] | None = None
    """
    Of links that are shared without saying for whom.

    * `anyone` - Anyone with the link
    * `signed_in` - People who are signed in here
    """


class Preset(Model):
    id: Annotated[str, Field(max_length=60, pattern="^[-a-zA-Z0-9_]+$")]
    version: Annotated[int, Field(ge=0, le=2147483647)]
    title: Annotated[str, Field(max_length=160)]
    category: Annotated[str, Field(max_length=60)]
    tags: list[str]
    summary: str
    content_hash: Annotated[str, Field(max_length=80)]
    """
    Hash of the preset's graph.
    """
    document: dict[str, Any]
    """
    The preset's JSON, schema v2.
    """
    verdicts: list[Verdict]
    """
    The newest verdict of each acceptance tier.
    """


class Recording(Model):
    state: Literal["none", "recording", "pending", "waiting", "kept", "failed", "lost", "gone"]
    """
    * `none` - none
    * `recording` - recording
    * `pending` - pending
    * `waiting` - waiting
    * `kept` - kept
    * `failed` - failed
    * `lost` - lost
    * `gone` - gone
    """
    message: str
    """
    Why, for people.
    """
    mend: str
    next_try: Annotated[AwareDatetime | None, Field(...)]
    tries: int
    """
    How often it was taken up without success or outage.
    """
    artifact: Annotated[UUID | None, Field(...)]
    kept_until: Annotated[AwareDatetime | None, Field(...)]


class ReproductionVerdict(Model):
    run: UUID
    of: Annotated[UUID | None, Field(...)]
    """
    The run that it reproduces; null when that was deleted.
    """
    state: str
    """
    Of the run; the verdict of one that did not succeed stays `waiting`.
    """
    verdict: Literal["waiting", "equal", "different"]
    """
    * `waiting` - Waiting
    * `equal` - Equal
    * `different` - Different
    """
    expected: str
    """
    Result hash of the run that it reproduces.
    """
    result_hash: str
    first: Annotated[FirstDifference | None, Field(...)]
    changed: list[Circumstance]
    message: str


class Run(Model):
    id: UUID
    kind: Literal["single", "sweep", "fit"]
    """
    * `single` - Run
    * `sweep` - Sweep
    * `fit` - Fit
    """
    origin: Annotated[UUID | None, Field(...)]
    points_total: Annotated[int | None, Field(...)]
    """
    Points of a sweep, iterations of a fit.
    """
    points_done: int
    points_failed: int
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    """
    * `queued` - Queued
    * `running` - Running
    * `succeeded` - Succeeded
    * `failed` - Failed
    * `cancelled` - Cancelled
    """
    paused: bool
    seed: int
    """
    Non-negative, below 2^63.
    """
    ticks: int
    """
    Length of the run in ticks of its clock.
    """
    tick: int
    progress: float
    """
    0 to 1.
    """
    eta_s: Annotated[float | None, Field(...)]
    """
    Seconds left, as estimated by the worker.
    """
    ticks_per_s: Annotated[float | None, Field(...)]
    max_seconds: int
    """
    Time for which it may hold workers, in all attempts together; then it fails.
    """
    error: Annotated[RunError | None, Field(...)]
    result_hash: str
    graph: RunGraphWithSpec
    preset: Annotated[RunPresetWithControls | None, Field(...)]
    created_at: AwareDatetime
    started_at: Annotated[AwareDatetime | None, Field(...)]
    finished_at: Annotated[AwareDatetime | None, Field(...)]
    urls: RunUrls
    design: Annotated[dict[str, Any] | None, Field(...)]
    """
    What a sweep or a fit computes.
    """
    recording: list[dict[str, Any]]
    """
    {node, port, every} of what it records.
    """
    recording_bytes: int
    """
    What its recording may take, at most.
    """
    queue: Annotated[RunPlace | None, Field(...)]
    result: Annotated[dict[str, Any] | None, Field(...)]


class RunSummary(Model):
    id: UUID
    kind: Literal["single", "sweep", "fit"]
    """
    * `single` - Run
    * `sweep` - Sweep
    * `fit` - Fit
    """
    origin: Annotated[UUID | None, Field(...)]
    points_total: Annotated[int | None, Field(...)]
    """
    Points of a sweep, iterations of a fit.
    """
    points_done: int
    points_failed: int
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    """
    * `queued` - Queued
    * `running` - Running
    * `succeeded` - Succeeded
    * `failed` - Failed
    * `cancelled` - Cancelled
    """
    paused: bool
    seed: int
    """
    Non-negative, below 2^63.
    """
    ticks: int
    """
    Length of the run in ticks of its clock.
    """
    tick: int
    progress: float
    """
    0 to 1.
    """
    eta_s: Annotated[float | None, Field(...)]
    """
    Seconds left, as estimated by the worker.
    """
    ticks_per_s: Annotated[float | None, Field(...)]
    max_seconds: int
    """
    Time for which it may hold workers, in all attempts together; then it fails.
    """
    error: Annotated[RunError | None, Field(...)]
    result_hash: str
    graph: RunGraph
    preset: Annotated[RunPreset | None, Field(...)]
    created_at: AwareDatetime
    started_at: Annotated[AwareDatetime | None, Field(...)]
    finished_at: Annotated[AwareDatetime | None, Field(...)]
    urls: RunUrls


class Usage(Model):
    measures: list[Measure]


class GraphDifference(Model):
    older: GraphVersionSummary
    newer: GraphVersionSummary
    computes_the_same: bool
    """
    Nothing differs but titles and positions.
    """
    nodes: NodeDifference
    edges: LinkDifference
    routes: LinkDifference
    audio: list[Change]


class PaginatedRunSummaryList(Model):
    next: Annotated[
        str | None,
        Field(examples=['http://api.example.org/accounts/?cursor=cD00ODY%3D"']),
    ] = None
    previous: Annotated[
        str | None,
        Field(examples=["http://api.example.org/accounts/?cursor=cj0xJnA9NDg3"]),
    ] = None
    results: list[RunSummary]
