"""Runs of graphs, the attempts of workers at them, and what they tell and are told."""

from functools import cached_property

from django.conf import settings
from django.db import models
from django.db.models.functions import Cast
from django.utils import timezone

from apps.projects.models import GraphVersion, Project
from apps.runs.outages import PutOff, put_off_constraint
from apps.runs.states import ACTIVE, FINAL, AttemptState, RunState
from apps.workspaces.rows import OwnedForeignKey, WorkspaceModel


class Run(WorkspaceModel):
    """One execution of a graph version: the row is the truth, whatever happens to queue and worker.

    A sweep runs the graph at many points, a fit evaluates it again and again; `design` says how, and `points` has what
    came of each. `ticks` is the length of every one of them, and `tick` of a sweep or fit that share of the length
    which it has of the work.

    `fence` is the number of the newest attempt; every write of a worker names its number and fails when it is
    not this one. `last_event` and `last_command` number the rows of `RunEvent` and `RunCommand` without gaps.
    The database refuses illegal steps of `state` and any change after a final one.
    """

    class Kind(models.TextChoices):
        SINGLE = "single", "Run"
        SWEEP = "sweep", "Sweep"
        FIT = "fit", "Fit"

    project = OwnedForeignKey(Project, on_delete=models.CASCADE, related_name="runs")
    graph_version = OwnedForeignKey(GraphVersion, on_delete=models.CASCADE, related_name="runs")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.SINGLE, editable=False)
    design = models.JSONField(
        null=True, editable=False, help_text="What a sweep or a fit computes; null: a single run."
    )
    origin = OwnedForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="repeats", editable=False,
        help_text="The run which this one repeats, wholly or in part.",
    )  # fmt: skip
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.QUEUED)
    paused = models.BooleanField(default=False)
    seed = models.BigIntegerField(help_text="Non-negative, below 2^63.")
    ticks = models.PositiveBigIntegerField(help_text="Length of the run in ticks of its clock.")
    tick = models.PositiveBigIntegerField(default=0)
    progress = models.FloatField(default=0.0, help_text="0 to 1.")
    eta_s = models.FloatField(null=True, help_text="Seconds left, as estimated by the worker.")
    ticks_per_s = models.FloatField(null=True)
    points_total = models.PositiveIntegerField(null=True, help_text="Points of a sweep, iterations of a fit.")
    points_done = models.PositiveIntegerField(default=0)
    points_failed = models.PositiveIntegerField(default=0)
    memory_bytes = models.BigIntegerField(help_text="Estimated by the plan when submitted.")
    recording = models.JSONField(
        default=list, editable=False, help_text="[{node, port, every}] of what is recorded; empty: nothing."
    )
    recording_bytes = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="What its recording may take, at most."
    )
    flops = models.FloatField(help_text="Estimated work of all ticks when submitted.")
    max_seconds = models.PositiveIntegerField(
        help_text="Time for which it may hold workers, in all attempts together; then it fails."
    )
    error = models.JSONField(null=True, help_text="{code, node, tick, message, mend}")
    result = models.JSONField(null=True)
    result_hash = models.CharField(max_length=80, blank=True)
    manifest = models.JSONField(default=dict)
    fence = models.PositiveIntegerField(default=0, editable=False)
    last_event = models.PositiveBigIntegerField(default=0, editable=False)
    last_command = models.PositiveIntegerField(default=0, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    queued_at = models.DateTimeField(default=timezone.now, help_text="When its message was last sent.")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(WorkspaceModel.Meta):
        indexes = (
            models.Index(fields=["workspace", "-created_at"], name="runs_run_created"),
            models.Index(fields=["project", "-created_at"], name="runs_run_project"),
            # The sweeper and the quotas ask for the few runs that are not over.
            models.Index(
                fields=["state", "queued_at"], name="runs_run_active", condition=models.Q(state__in=sorted(ACTIVE))
            ),
            # How fast the last runs were tells those that wait when their turn comes.
            models.Index(fields=["-finished_at"], name="runs_run_ended", condition=models.Q(state=RunState.SUCCEEDED)),
        )
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.CheckConstraint(name="runs_run_state", condition=models.Q(state__in=RunState.values)),
            models.CheckConstraint(name="runs_run_kind", condition=models.Q(kind__in=["single", "sweep", "fit"])),
            models.CheckConstraint(
                name="runs_run_design",
                condition=models.Q(kind="single", design__isnull=True, points_total__isnull=True, points_done=0)
                | (~models.Q(kind="single") & models.Q(design__isnull=False, points_total__gte=1)),
            ),
            models.CheckConstraint(
                name="runs_run_points",
                condition=models.Q(points_total__isnull=True)
                | models.Q(points_total__gte=models.F("points_done") + models.F("points_failed")),
            ),
            models.CheckConstraint(name="runs_run_seed", condition=models.Q(seed__gte=0)),
            models.CheckConstraint(name="runs_run_ticks", condition=models.Q(ticks__gte=1)),
            models.CheckConstraint(name="runs_run_max_seconds", condition=models.Q(max_seconds__gte=1)),
            models.CheckConstraint(name="runs_run_tick", condition=models.Q(tick__lte=models.F("ticks"))),
            models.CheckConstraint(name="runs_run_progress", condition=models.Q(progress__gte=0.0, progress__lte=1.0)),
            models.CheckConstraint(
                name="runs_run_finished",
                condition=models.Q(state__in=sorted(FINAL), finished_at__isnull=False)
                | models.Q(state__in=sorted(ACTIVE), finished_at__isnull=True),
            ),
            models.CheckConstraint(
                name="runs_run_error",
                condition=models.Q(state=RunState.FAILED, error__isnull=False)
                | (~models.Q(state=RunState.FAILED) & models.Q(error__isnull=True)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.id} {self.state}"

    @cached_property
    def warnings(self) -> list[str]:
        """What went not quite as it should when it was submitted in this process; not kept."""
        return []

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL


class RunAttempt(WorkspaceModel):
    """One worker's hold on a run: valid while the lease is renewed and `number` equals the run's fence."""

    run = OwnedForeignKey(Run, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=AttemptState.choices, default=AttemptState.RUNNING)
    worker = models.CharField(max_length=200)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    heartbeat_at = models.DateTimeField()
    lease_expires_at = models.DateTimeField()
    reached = models.PositiveBigIntegerField(
        null=True, help_text="Tick of the last checkpoint that it made; in a sweep or fit, points that were done then."
    )
    finished_at = models.DateTimeField(null=True)
    tidied = models.BooleanField(
        default=False, editable=False, help_text="Whether checkpoints were looked for that came after the run's end."
    )

    class Meta(WorkspaceModel.Meta):
        indexes = (
            # What a workspace has used this month is added up before each run that it submits.
            models.Index(fields=["workspace", "finished_at"], name="runs_runattempt_finished"),
            # The sweeper asks for the few that are not.
            models.Index(fields=["run"], name="runs_runattempt_untidied", condition=models.Q(tidied=False)),
        )
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["run", "number"], name="runs_runattempt_number"),
            models.CheckConstraint(name="runs_runattempt_state", condition=models.Q(state__in=AttemptState.values)),
        )

    def __str__(self) -> str:
        return f"{self.run_id} attempt {self.number}: {self.state}"


class RunPoint(WorkspaceModel):
    """What came of one point of a sweep, or of one iteration of a fit; it has a row as soon as it is done."""

    class State(models.TextChoices):
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"

    run = OwnedForeignKey(Run, on_delete=models.CASCADE, related_name="points", db_index=False)
    index = models.PositiveIntegerField(help_text="0, 1, 2, … in the order of the design.")
    state = models.CharField(max_length=10, choices=State.choices)
    params = models.JSONField(help_text='{"node.param": value} of the parameters that differ from the graph.')
    seed = models.BigIntegerField()
    metrics = models.JSONField(default=dict, help_text="Numbers by name; null where a port said nothing.")
    error = models.JSONField(null=True, help_text="{code, node, tick, message, mend}")
    result_hash = models.CharField(max_length=80, blank=True)
    carried = models.BooleanField(default=False, help_text="Taken over from the run which this one repeats.")
    finished_at = models.DateTimeField(default=timezone.now)

    class Meta(WorkspaceModel.Meta):
        ordering = ("index",)
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["run", "index"], name="runs_runpoint_index"),
            models.CheckConstraint(
                name="runs_runpoint_error",
                condition=models.Q(state="succeeded", error__isnull=True)
                | models.Q(state="failed", error__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.run_id} point {self.index}: {self.state}"


class RunCheckpoint(WorkspaceModel):
    """A session of a run in the object storage, from which the next attempt goes on; `checkpoints` says where."""

    run = OwnedForeignKey(Run, on_delete=models.CASCADE, related_name="checkpoints", db_index=False)
    content = models.CharField(max_length=64, help_text="SHA-256 of what it holds, in hexadecimal.")
    attempt = models.PositiveIntegerField(help_text="Number of the attempt that made it.")
    tick = models.PositiveBigIntegerField()
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(WorkspaceModel.Meta):
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["run", "content"], name="runs_runcheckpoint_content"),
        )

    def __str__(self) -> str:
        return f"{self.run_id} at tick {self.tick}"


def _octets(of: str | models.Func) -> models.Func:
    return models.Func(of, function="octet_length", output_field=models.BigIntegerField())


class RunTrail(WorkspaceModel):
    """Digests of what the ports of a run said, tick by tick, by which a reproduction finds where it first differs.

    `attractor.trail` makes and reads them. A row that is `gone` says why there are none (any more): a reproduction
    tells it.
    """

    class Gone(models.TextChoices):
        NO = "", "There is one"
        EXPIRED = "expired", "Deleted when its time was over"
        NO_ROOM = "no_room", "Not kept, because the storage was used up"

    run = OwnedForeignKey(Run, on_delete=models.CASCADE, related_name="trails", db_index=False)
    description = models.JSONField(help_text="{columns, ticks, stride, ends}")
    digests = models.BinaryField(help_text="Packed; at most about half a megabyte.")
    gone = models.CharField(max_length=10, choices=Gone.choices, default=Gone.NO, blank=True)
    size = models.GeneratedField(
        expression=_octets("digests") + _octets(Cast("description", models.TextField())),
        output_field=models.BigIntegerField(), db_persist=True, help_text="Bytes.",
    )  # fmt: skip

    class Meta(WorkspaceModel.Meta):
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["run"], name="runs_runtrail_run"),
            models.CheckConstraint(
                name="runs_runtrail_gone",
                condition=models.Q(gone="") | models.Q(gone__in=["expired", "no_room"], digests=b""),
            ),
        )

    def __str__(self) -> str:
        return f"trail of {self.run_id}"


class Reproduction(WorkspaceModel):
    """What a run that reproduces another follows, and what came of the comparison.

    The run's `origin` is the other; what is needed of it is copied, so that the verdict outlives it.
    """

    class Verdict(models.TextChoices):
        WAITING = "waiting", "Waiting"
        EQUAL = "equal", "Equal"
        DIFFERENT = "different", "Different"

    class Compared(models.TextChoices):
        NOTHING = "", "Nothing yet"
        HASH = "hash", "The result hash"
        ROWS = "rows", "The result hash, and some ticks"
        TICKS = "ticks", "The result hash, and every tick"
        POINTS = "points", "The result hash, and every point"

    run = OwnedForeignKey(Run, on_delete=models.CASCADE, related_name="reproductions", db_index=False)
    manifest = models.JSONField(help_text="Of the run that is reproduced.")
    expected = models.CharField(max_length=80, help_text="Its result hash.")
    verdict = models.CharField(max_length=10, choices=Verdict.choices, default=Verdict.WAITING)
    first = models.JSONField(null=True, help_text="Where it first differs: {tick, since, places, hidden} or {point}.")
    compared = models.CharField(max_length=10, choices=Compared.choices, default=Compared.NOTHING, blank=True)
    gone = models.CharField(
        max_length=10, choices=RunTrail.Gone.choices, default=RunTrail.Gone.NO, blank=True,
        help_text="Why the run that is reproduced had no trail to compare with, where that is known.",
    )  # fmt: skip
    changed = models.JSONField(default=list, help_text="What was not as then, of which a difference may come.")

    class Meta(WorkspaceModel.Meta):
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["run"], name="runs_reproduction_run"),
            models.CheckConstraint(
                name="runs_reproduction_verdict", condition=models.Q(verdict__in=["waiting", "equal", "different"])
            ),
            models.CheckConstraint(
                name="runs_reproduction_compared",
                condition=models.Q(compared__in=["", "hash", "rows", "ticks", "points"]),
            ),
            models.CheckConstraint(
                name="runs_reproduction_gone", condition=models.Q(gone__in=["", "expired", "no_room"])
            ),
        )

    def __str__(self) -> str:
        return f"{self.run_id} reproduces: {self.verdict}"


class RunEvent(WorkspaceModel):
    """One thing a run told, numbered 1, 2, 3, … per run; kept as written."""

    class Kind(models.TextChoices):
        STATUS = "status", "Status"
        LOG = "log", "Log"
        ERROR = "error", "Error"
        CONTROL = "control", "Control"
        METRIC = "metric", "Metric"
        RESULT = "result", "Result"
        POINTS = "points", "Points"

    run = OwnedForeignKey(Run, on_delete=models.CASCADE, related_name="events", db_index=False)
    seq = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    tick = models.PositiveBigIntegerField(null=True, help_text="Null when it happened outside the run's clock.")
    payload = models.JSONField(default=dict)
    at = models.DateTimeField(default=timezone.now)

    class Meta(WorkspaceModel.Meta):
        ordering = ("seq",)
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["run", "seq"], name="runs_runevent_seq"),
            models.CheckConstraint(
                name="runs_runevent_kind",
                condition=models.Q(kind__in=["status", "log", "error", "control", "metric", "result", "points"]),
            ),
        )

    def __str__(self) -> str:
        return f"{self.run_id} #{self.seq} {self.kind}"


class RunCommand(WorkspaceModel):
    """One thing a run was told to do, numbered 1, 2, 3, … per run, in the order it is to be done."""

    class Kind(models.TextChoices):
        CANCEL = "cancel", "Cancel"
        PAUSE = "pause", "Pause"
        RESUME = "resume", "Resume"
        CONTROL = "control", "Set a control"
        TRIGGER = "trigger", "Fire a trigger"

    run = OwnedForeignKey(Run, on_delete=models.CASCADE, related_name="commands", db_index=False)
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    payload = models.JSONField(
        default=dict, help_text='control: {"target": "node.param", "value": …}; trigger: {"target": "node.port"}'
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    applied_at = models.DateTimeField(null=True)
    applied_tick = models.PositiveBigIntegerField(null=True)
    refusal = models.JSONField(null=True, help_text="Why the worker did not apply it: {place, message, mend}")

    class Meta(WorkspaceModel.Meta):
        ordering = ("seq",)
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["run", "seq"], name="runs_runcommand_seq"),
            models.CheckConstraint(
                name="runs_runcommand_kind",
                condition=models.Q(kind__in=["cancel", "pause", "resume", "control", "trigger"]),
            ),
        )

    def __str__(self) -> str:
        return f"{self.run_id} #{self.seq} {self.kind}"


class RunSegment(WorkspaceModel):
    """Some ticks of what a run records, in the object storage; `recordings` says where.

    The segments of a run follow each other without gap. When it is over they are put together as one artifact.
    """

    run = OwnedForeignKey(Run, on_delete=models.CASCADE, related_name="segments", db_index=False)
    content = models.CharField(max_length=64, help_text="SHA-256 of the file, in hexadecimal.")
    attempt = models.PositiveIntegerField(help_text="Number of the attempt that made it.")
    first = models.PositiveBigIntegerField(help_text="The first tick in it.")
    until = models.PositiveBigIntegerField(help_text="The first tick after it.")
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    last = models.JSONField(help_text="The last tick that was recorded of each port, up to here.")
    raw = models.PositiveBigIntegerField(help_text="Bytes of its values, to which the limit of a recording is held.")

    class Meta(WorkspaceModel.Meta):
        ordering = ("first",)
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["run", "first"], name="runs_runsegment_first"),
            models.CheckConstraint(name="runs_runsegment_ticks", condition=models.Q(until__gt=models.F("first"))),
        )

    def __str__(self) -> str:
        return f"{self.run_id} ticks {self.first} to {self.until}"


class Gathering(WorkspaceModel, PutOff):
    """What is to be done for a run that records, when it is over: put its segments together, and delete their files.

    It is there before the first file is, and goes when none can come any more. One with an error stays: it says why
    there is no recording.
    """

    run = OwnedForeignKey(Run, on_delete=models.CASCADE, related_name="gatherings", db_index=False)
    tries = models.PositiveIntegerField(
        default=0,
        help_text="How often others than the run's own process took it up and failed, or did not live to say.",
    )
    due_at = models.DateTimeField(
        default=timezone.now, null=True,
        help_text="When it is taken up next, once the run is over; null: nothing is left to do.",
    )  # fmt: skip
    error = models.JSONField(null=True, help_text="Why there is no recording: {code, message, mend}")

    class Meta(WorkspaceModel.Meta):
        indexes = (models.Index(fields=["due_at"], name="runs_gathering_due"),)
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["run"], name="runs_gathering_run"),
            put_off_constraint("runs_gathering_waits_for"),
        )

    def __str__(self) -> str:
        return f"{self.run_id} due {self.due_at}"


class Artifact(WorkspaceModel):
    """A file that a run left, that was made of one, or that somebody brought; written once, see `artifacts`."""

    class Kind(models.TextChoices):
        RECORDING = "recording", "Recording"
        EXPORT = "export", "Export"
        IMPORT = "import", "Import"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    run = OwnedForeignKey(Run, null=True, on_delete=models.CASCADE, related_name="artifacts", db_index=False)
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    content = models.CharField(max_length=64, help_text="SHA-256 of what it holds, in hexadecimal; its place.")
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    lineage = models.JSONField(
        default=dict, help_text="What it was made from: run, attempt, export, artifact, content."
    )
    facts = models.JSONField(default=dict, help_text="What is in it.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(WorkspaceModel.Meta):
        indexes = (
            models.Index(fields=["workspace", "-created_at"], name="runs_artifact_created"),
            models.Index(fields=["workspace", "content"], name="runs_artifact_content"),
            models.Index(fields=["run"], name="runs_artifact_run"),
        )
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["run"], name="runs_artifact_recording", condition=models.Q(kind="recording")
            ),
            models.CheckConstraint(
                name="runs_artifact_kind", condition=models.Q(kind__in=["recording", "export", "import"])
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.content[:12]}"


class DiscardedFile(WorkspaceModel):
    """A content that an artifact had which was deleted: its file goes, unless another artifact has it."""

    content = models.CharField(max_length=64)

    class Meta(WorkspaceModel.Meta):
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["workspace", "content"], name="runs_discardedfile_content"),
        )

    def __str__(self) -> str:
        return self.content


class Export(WorkspaceModel, PutOff):
    """What a run recorded, or the points of a sweep, being written in another format.

    `claim` numbers those who have taken it; every write of one names its number and fails when it is not this one.
    `losses` counts those of them that have died or failed over it, and not those that found the storage or the database
    away: then it is queued again and due later.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    run = OwnedForeignKey(Run, on_delete=models.CASCADE, related_name="exports", db_index=False)
    format = models.CharField(max_length=10)
    ports = models.JSONField(default=list, help_text="`node.port` of what is exported; empty: everything.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    progress = models.FloatField(default=0.0, help_text="0 to 1.")
    error = models.JSONField(null=True, help_text="{code, message, mend}")
    artifact = OwnedForeignKey(
        Artifact, null=True, on_delete=models.SET_NULL, related_name="made_by", editable=False
    )  # fmt: skip
    reserved_bytes = models.PositiveBigIntegerField(default=0, help_text="What its file may take, as estimated.")
    claim = models.PositiveIntegerField(default=0, editable=False)
    claimed_at = models.DateTimeField(
        null=True, editable=False, help_text="When whoever writes it was heard of last."
    )  # fmt: skip
    losses = models.PositiveIntegerField(default=0, editable=False)
    due_at = models.DateTimeField(default=timezone.now, editable=False, help_text="Not before it is taken.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta(WorkspaceModel.Meta):
        indexes = (
            models.Index(fields=["run", "-created_at"], name="runs_export_run"),
            models.Index(
                fields=["created_at"], name="runs_export_active", condition=models.Q(state__in=["queued", "running"])
            ),
        )
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.CheckConstraint(
                name="runs_export_state",
                condition=models.Q(state__in=["queued", "running", "succeeded", "failed", "cancelled"]),
            ),
            models.CheckConstraint(
                name="runs_export_error",
                condition=models.Q(state="failed", error__isnull=False)
                | (~models.Q(state="failed") & models.Q(error__isnull=True)),
            ),
            models.CheckConstraint(
                name="runs_export_progress", condition=models.Q(progress__gte=0.0, progress__lte=1.0)
            ),
            put_off_constraint("runs_export_waits_for"),
        )

    def __str__(self) -> str:
        return f"{self.run_id} as {self.format}: {self.state}"


class Retention(WorkspaceModel):
    """For how long a workspace keeps what its runs left; without a row the configuration's `runs.keep_days` counts."""

    revision = models.PositiveIntegerField(default=1, editable=False, help_text="Grows with every change.")
    artifact_days = models.PositiveIntegerField(null=True, help_text="Days; null: for ever.")
    checkpoint_days = models.PositiveIntegerField(
        default=0, help_text="Days for which checkpoints outlive their run; 0: they go when it is over."
    )

    class Meta(WorkspaceModel.Meta):
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["workspace"], name="runs_retention_workspace"),
        )

    def __str__(self) -> str:
        return f"{self.workspace_id}: {self.artifact_days} days"
