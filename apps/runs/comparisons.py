"""Several runs side by side: what they were given, what came out, and curves to lay over each other. Reads only.

However many runs there are, they take a few queries: theirs, that of their graphs' versions, each of which is parsed
once, and one for the points of their sweeps and fits.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q
from django.db.models.fields.json import KeyTransform

from apps.projects.models import GraphVersion
from apps.runs.models import Run, RunPoint
from apps.workspaces.missing import NotFound

FEWEST: Final = 2
MOST: Final = 100
CURVE_POINTS: Final = 500
"""Most points of a curve; a longer one is thinned out evenly, and keeps its last point."""
MOST_POINTS: Final = 1_000_000
"""Most points that the sweeps and fits among the runs may have for curves."""
LONGEST: Final = 200
"""Characters of a list or table of a parameter; a longer one is told by its length and hash."""
CIRCUMSTANCES: Final = ("graph", "version", "kind", "seed", "ticks", "tier", "device", "controls")
"""Parameters that every run has. `controls` counts what was set and fired while it went on."""


@dataclass(frozen=True, slots=True)
class Row:
    """One run: what it was given and what came out, by name. What a run does not have is not there."""

    run: Run
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side.

    Attributes:
        rows: of all runs, in the order asked for.
        differing: names of the parameters that are not the same in all, exposed controls first.
        common: names of those that are.
        metrics: names of the numbers that came out of any of them.
        curves: names of what `curves` can lay over each other.
    """

    rows: tuple[Row, ...]
    differing: tuple[str, ...]
    common: tuple[str, ...]
    metrics: tuple[str, ...]
    curves: tuple[str, ...]

    def sorted_by(self, name: str, *, descending: bool = False) -> list[Row]:
        """The rows by a parameter or metric; those that have none of it come last either way.

        Raises:
            KeyError: there is no such parameter or metric.
        """
        if name not in {*self.differing, *self.common, *self.metrics}:
            raise KeyError(name)
        with_it = [(row, value) for row in self.rows if (value := value_of(row, name)) is not None]
        without = [row for row in self.rows if value_of(row, name) is None]
        with_it.sort(key=lambda pair: str(pair[0].run.pk))
        with_it.sort(key=lambda pair: _key(pair[1]), reverse=descending)
        return [row for row, _ in with_it] + without


@dataclass(frozen=True, slots=True)
class Curve:
    """Numbers of one run against their place: the entries of an output, the points of a sweep, the steps of a fit."""

    run: UUID
    x: Sequence[float]
    y: Sequence[float | None]


class TooManyPoints(ValueError):
    """The runs have more points together than are read for curves."""


@dataclass(frozen=True, slots=True)
class _Given:
    """What a version of a graph sets, by `node.param`, and the kinds of its nodes."""

    params: Mapping[str, Any]
    kinds: Mapping[str, str]


@dataclass(slots=True)
class _Found:
    rows: list[Row] = field(default_factory=list)
    curves: dict[str, None] = field(default_factory=dict)


def value_of(row: Row, name: str) -> Any:
    """A parameter or metric of a run, None when it has none of that name."""
    return row.parameters[name] if name in row.parameters else row.metrics.get(name)


def compare(run_ids: Sequence[UUID]) -> Comparison:
    """The runs of the workspace in force that have these ids.

    Raises:
        NotFound: one of them is not there; nothing is told of the others.
    """
    runs = _read(run_ids)
    defaults = _Defaults()
    exposed: dict[str, None] = {}
    versions = _versions(runs)
    given = {version.pk: _with_controls(version, said, defaults, exposed) for version, said in versions.values()}
    targets = {target for one in given.values() for target in one.params}
    found = _Found()
    for run in runs:
        run.graph_version = versions[run.graph_version_id][0]
        found.rows.append(_row(run, given[run.graph_version_id], targets, defaults, found.curves))
    for name in _point_metrics(runs):
        found.curves.setdefault(name)
    names = [*CIRCUMSTANCES, *exposed, *sorted(targets - exposed.keys())]
    differing = [name for name in names if _differs(found.rows, name)]
    # What people turn comes before what merely is another.
    differing.sort(key=lambda name: (name not in exposed, name not in CIRCUMSTANCES))
    metrics = dict.fromkeys(name for row in found.rows for name in row.metrics)
    common = [name for name in names if name not in differing]
    return Comparison(tuple(found.rows), tuple(differing), tuple(common), tuple(metrics), tuple(found.curves))


def curves(run_ids: Sequence[UUID], name: str) -> list[Curve]:
    """What the runs have under a name of `Comparison.curves`; a run without it has no curve.

    Raises:
        NotFound: one of the runs is not there.
        TooManyPoints: their sweeps and fits have more than `MOST_POINTS` points.
    """
    runs = _read(run_ids)
    found = {
        run.pk: Curve(run.pk, *_thinned(list(range(len(values))), values))
        for run in runs
        if (values := _numbers((run.said or {}).get(name))) is not None
    }
    points: dict[UUID, tuple[list[float], list[float | None]]] = {}
    for run_id, index, value in _measured([run for run in runs if run.kind != Run.Kind.SINGLE], name):
        xs, ys = points.setdefault(run_id, ([], []))
        xs.append(index)
        ys.append(value)
    found |= {run_id: Curve(run_id, *_thinned(xs, ys)) for run_id, (xs, ys) in points.items()}
    return [found[run.pk] for run in runs if run.pk in found]


def _measured(series: Sequence[Run], name: str) -> Iterator[tuple[UUID, int, float]]:
    """Every so many points of each of the series and its last one, so that no more than twice `CURVE_POINTS` are
    read of any: (run, index, value)."""
    if not series:
        return
    together = sum(run.points_total or 0 for run in series)
    if together > MOST_POINTS:
        raise TooManyPoints(
            f"The runs have {together} points together; at most {MOST_POINTS} are laid over each other."
        )
    by_step: dict[int, list[Run]] = defaultdict(list)
    for run in series:
        by_step[math.ceil((run.points_total or 1) / CURVE_POINTS)].append(run)
    rows = RunPoint.objects.alias(**{f"of_{step}": F("index") % step for step in by_step})
    wanted = Q()
    for step, runs in by_step.items():
        wanted |= Q(run_id__in=[run.pk for run in runs], **{f"of_{step}": 0})
        if step > 1:
            for run in runs:
                wanted |= Q(run_id=run.pk, index=(run.points_total or 1) - 1)
    rows = rows.filter(wanted).order_by("run_id", "index")
    for run_id, index, value in rows.values_list("run_id", "index", KeyTransform(name, "metrics")).iterator():
        if value is not None:
            yield run_id, index, value


def _read(run_ids: Sequence[UUID]) -> list[Any]:
    """The runs in the order asked for, each with `said`, the outputs of its result, and `measures`, what its design
    measures."""
    wanted = list(dict.fromkeys(run_ids))
    rows = (
        Run.objects.select_related("workspace")
        .defer("result", "design")
        .annotate(said=KeyTransform("outputs", "result"), measures=KeyTransform("metrics", "design"))
        .filter(pk__in=wanted)
    )
    found = {run.pk: run for run in rows}
    missing = [run_id for run_id in wanted if run_id not in found]
    if missing:
        raise NotFound(f"run {missing[0]}")
    return [found[run_id] for run_id in wanted]


def _versions(runs: Sequence[Run]) -> dict[UUID, tuple[GraphVersion, _Given]]:
    """The versions of the runs' graphs and what they set. One document is held at a time."""
    rows = GraphVersion.objects.filter(pk__in={run.graph_version_id for run in runs})
    versions = {one.pk: one for one in rows.defer("document").select_related("graph__preset")}
    found = {}
    for version_id, document in rows.values_list("pk", "document").iterator(chunk_size=1):
        nodes = json.loads(document)["nodes"]
        params = {
            f"{node['id']}.{name}": _short(value) for node in nodes for name, value in node.get("params", {}).items()
        }
        found[version_id] = versions[version_id], _Given(params, {node["id"]: node["kind"] for node in nodes})
    return found


def _short(value: Any) -> Any:
    """The value; of a long list or table a text that two have in common only when they are the same."""
    if isinstance(value, list | dict) and len(text := json.dumps(value, sort_keys=True)) > LONGEST:
        return f"{len(value)} values, SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:12]}…"
    return value


class _Defaults:
    """Defaults of parameters, of the kinds that are installed."""

    def __init__(self) -> None:
        from attractor import Registry

        self._kinds = Registry.default().kinds()

    def of(self, kind: str, name: str) -> Any:
        found = self._kinds.get(kind)
        parameter = found.parameter(name) if found is not None else None
        return None if parameter is None else parameter.default


def _with_controls(version: GraphVersion, given: _Given, defaults: _Defaults, exposed: dict[str, None]) -> _Given:
    """What a version sets, and the controls that its preset exposes."""
    params = dict(given.params)
    preset = version.graph.preset
    for control in preset.document.get("controls", ()) if preset is not None else ():
        node, _, name = control["target"].partition(".")
        if node in given.kinds:
            exposed.setdefault(control["target"])
            params.setdefault(control["target"], defaults.of(given.kinds[node], name))
    return _Given(params, given.kinds)


def _row(run: Any, given: _Given, targets: Iterable[str], defaults: _Defaults, curves: dict[str, None]) -> Row:
    version = run.graph_version
    parameters: dict[str, Any] = {
        "graph": version.graph.name, "version": version.number, "kind": run.kind, "seed": run.seed, "ticks": run.ticks,
        "tier": run.manifest.get("tier"), "device": run.manifest.get("device"),
        "controls": len(run.manifest.get("control_log") or ()),
    }  # fmt: skip
    for target in targets:
        node, _, name = target.partition(".")
        if target in given.params:
            parameters[target] = given.params[target]
        elif node in given.kinds and (default := defaults.of(given.kinds[node], name)) is not None:
            parameters[target] = default
    metrics: dict[str, float] = {}
    if run.started_at and run.finished_at:
        metrics["seconds"] = round((run.finished_at - run.started_at).total_seconds(), 3)
    if run.points_total is not None:
        metrics |= {"points done": run.points_done, "points failed": run.points_failed}
    for name, value in (run.said or {}).items():
        if isinstance(value, bool | int | float) and math.isfinite(value):
            metrics[name] = value
        elif _numbers(value) is not None:
            curves.setdefault(name)
    return Row(run, {name: value for name, value in parameters.items() if value is not None}, metrics)


def _point_metrics(runs: Sequence[Any]) -> list[str]:
    """Names of what the points of sweeps and fits measure, as far as their designs say."""
    from attractor.metric import Metric

    names: dict[str, None] = {}
    for run in runs:
        if run.kind == Run.Kind.FIT:
            names.setdefault("loss")
        for metric in run.measures or ():
            names.setdefault(Metric(metric["port"], metric["reduce"], metric["start"]).name)
    return list(names)


def _differs(rows: Sequence[Row], name: str) -> bool:
    values = [row.parameters.get(name) for row in rows]
    return any(value != values[0] for value in values)


def _key(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool | int | float):
        return 0, value
    return 1, str(value)


def _numbers(value: Any) -> list[float | None] | None:
    """A flat list of two numbers or more, with None for what is not finite; None for anything else."""
    if not isinstance(value, list) or len(value) < 2:
        return None
    if not all(isinstance(one, int | float) for one in value):
        return None
    return [one if math.isfinite(one) else None for one in value]


def _thinned(x: Sequence[float], y: Sequence[float | None]) -> tuple[Sequence[float], Sequence[float | None]]:
    if len(x) <= CURVE_POINTS:
        return x, y
    places = sorted({round(k * (len(x) - 1) / (CURVE_POINTS - 1)) for k in range(CURVE_POINTS)})
    return [x[k] for k in places], [y[k] for k in places]
