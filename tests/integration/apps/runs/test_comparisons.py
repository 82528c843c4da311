"""Runs side by side: what differs, pages in an order, curves, and nothing of other workspaces."""

from __future__ import annotations

import json
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.presets.models import Preset
from apps.projects.models import Graph
from apps.projects.services import add_version, create_graph
from apps.runs import comparisons, services, sweeps
from apps.runs.points import DonePoint, record_points
from apps.workspaces.scope import scope


def array_spec(**params: Any) -> dict[str, Any]:
    return {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16, **params}}], "edges": []}


@pytest.fixture(autouse=True)
def roomy(settings: Any) -> None:
    quotas = settings.ATTRACTOR.quotas.model_copy(
        update={"active_runs": 500, "memory": 2**40, "compute_seconds": 10**9}
    )
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})


def over(tenant: Any, run: Any, **outputs: Any) -> Any:
    with scope(tenant.workspace.id):
        services.finish(
            services.claim(run.pk, "w"), "succeeded", result={"outputs": outputs}, result_hash="h",
            manifest={"tier": "eager", "device": "cpu", "control_log": []},
        )  # fmt: skip
    return run


def asked(tenant: Any, runs: Any, **query: Any) -> Any:
    ids = ",".join(str(getattr(run, "pk", run)) for run in runs)
    return tenant.client.get(f"{tenant.root}/runs/compare/", {"runs": ids, **query})


def test_what_differs_comes_first_and_what_is_exposed_before_all(ann: Any) -> None:
    preset = Preset.objects.create(
        id="p", version=1, title="P", category="x", summary="x", content_hash="x",
        document={"graph": array_spec(), "controls": [{"label": "Noise", "target": "osc.noise"}]},
    )  # fmt: skip
    with scope(ann.workspace.id):
        Graph.objects.filter(pk=ann.graph.pk).update(preset=preset)
    first = over(ann, ann.submit(ticks=10), **{"osc.sync": 0.5})
    add_version(ann.user, ann.workspace, ann.graph, array_spec(noise=0.25, coupling=0.75))
    second = over(ann, ann.submit(ticks=20), **{"osc.sync": 0.75})
    said = asked(ann, [first, second]).json()
    assert said["differing"] == ["osc.noise", "version", "ticks", "osc.coupling"]
    assert {"graph", "seed", "tier", "device", "osc.N"} <= set(said["common"])
    assert [one["metrics"]["osc.sync"] for one in said["results"]] == [0.5, 0.75]
    one, other = (one["parameters"] for one in said["results"])
    # What the first graph does not set has the default of its kind.
    assert (other["osc.noise"], other["osc.coupling"]) == (0.25, 0.75)
    assert one["osc.noise"] == 0.0
    assert one["osc.coupling"] != 0.75


def test_pages_in_an_order_show_every_run_once_and_those_without_the_value_last(ann: Any) -> None:
    values = [0.3, 0.1, None, 0.2, 0.5, 0.4, 0.1]
    runs = [over(ann, ann.submit(ticks=10), **({} if v is None else {"osc.sync": v})) for v in values]
    for sort, expected in (
        ("osc.sync", [0.1, 0.1, 0.2, 0.3, 0.4, 0.5, None]),
        ("-osc.sync", [0.5, 0.4, 0.3, 0.2, 0.1, 0.1, None]),
    ):
        page = asked(ann, runs, sort=sort, page_size=3).json()
        seen, pages = page["results"], 1
        while page["next"]:
            page = ann.client.get(page["next"]).json()
            seen, pages = seen + page["results"], pages + 1
        assert pages == 3
        assert [one["metrics"].get("osc.sync") for one in seen] == expected
        assert {one["id"] for one in seen} == {str(run.pk) for run in runs}
    assert [one["id"] for one in asked(ann, runs).json()["results"]] == [str(run.pk) for run in runs]


def test_one_foreign_or_absent_run_is_404_for_all_and_tells_nothing(ann: Any, bob: Any) -> None:
    mine, foreign = ann.submit(ticks=10), bob.submit(ticks=10)
    answers = []
    for stranger in (foreign.pk, uuid.uuid4()):
        for path in ("compare/", "compare/curves/"):
            query = {"runs": f"{mine.pk},{stranger}", "name": "osc.x"}
            answer = ann.client.get(f"{ann.root}/runs/{path}", query)
            assert answer.status_code == 404
            assert str(mine.pk) not in answer.content.decode()
            answers.append(answer.json() | {"instance": ""})
    assert all(one == answers[0] for one in answers)


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"runs": ""}, "runs"), ({"runs": "x,y"}, "runs"), ({"runs": ",".join([str(uuid.uuid4())] * 3)}, "runs"),
        ({"runs": ",".join(str(uuid.uuid4()) for _ in range(101))}, "runs"), ({"sort": "nothing"}, "sort"),
        ({"cursor": "x"}, "cursor"), ({"cursor": "A" * 22}, "cursor"), ({"page_size": "0"}, "page_size"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_says_why(ann: Any, query: dict[str, str], place: str) -> None:
    runs = ",".join(str(ann.submit(ticks=10).pk) for _ in range(2))
    answer = ann.client.get(f"{ann.root}/runs/compare/", {"runs": runs, **query})
    assert answer.status_code == 400
    assert answer.json()["problems"][0]["place"] == place


def test_a_hundred_runs_take_as_many_queries_as_two(ann: Any) -> None:
    graphs = [
        create_graph(ann.user, ann.workspace, ann.project, f"g{n}", array_spec(coupling=n / 100)) for n in range(5)
    ]
    runs = [ann.submit(ticks=10, graph=graphs[n % 5]) for n in range(100)]
    asked(ann, runs[:2])  # of a session is noted once a minute that it was used
    found = {}
    for many in (2, 100):
        with CaptureQueriesContext(connection) as queries:
            answer = asked(ann, runs[:many], page_size=100)
        assert len(answer.json()["results"]) == many
        found[many] = len(queries)
    assert found[2] == found[100]


def test_a_graph_of_many_runs_is_parsed_once_and_long_lists_are_told_by_their_hash(
    ann: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents: list[str] = []

    def counted(document: str) -> Any:
        documents.append(document)
        return json.loads(document)

    monkeypatch.setattr(comparisons, "json", SimpleNamespace(loads=counted, dumps=json.dumps))

    def masked(last: float) -> Graph:
        inits = [0.5] * 63 + [last]
        node = {"id": "v", "kind": "gen.value", "params": {"type": "vector", "values": inits}}
        graph = create_graph(ann.user, ann.workspace, ann.project, f"g{last}", {"nodes": [node], "edges": []})
        return graph

    one, other = masked(1.0), masked(2.0)
    said = asked(ann, [ann.submit(ticks=10, graph=graph) for graph in (one, one, one, other)]).json()
    assert len(documents) == 2
    assert "v.values" in said["differing"]
    told = [row["parameters"]["v.values"] for row in said["results"]]
    assert told[0] == told[1] == told[2] != told[3]
    assert told[0].startswith("64 values, SHA-256 ")


def test_long_sweeps_are_thinned_where_they_are_kept_and_too_many_are_refused(
    ann: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparisons, "CURVE_POINTS", 5)
    design = {
        "axes": [{"target": "osc.coupling", "min": 0.1, "max": 0.4, "steps": 42}], "sampling": "grid",
        "metrics": [{"port": "osc.sync", "reduce": "mean", "start": 0}],
    }  # fmt: skip
    swept = [sweeps.submit_sweep(ann.user, ann.workspace, ann.graph, design, 1, 10) for _ in range(2)]
    with scope(ann.workspace.id):
        for run in swept:
            attempt = services.claim(run.pk, "w")
            record_points(attempt, [DonePoint(i, {}, 1, {"mean of osc.sync": i / 2}) for i in range(42)])
        ids = [run.pk for run in swept]
        read = list(comparisons._measured(list(comparisons._read(ids)), "mean of osc.sync"))
        assert [index for run_id, index, _ in read if run_id == ids[0]] == [0, 9, 18, 27, 36, 41]
        curves = comparisons.curves(ids, "mean of osc.sync")
        assert [(len(curve.x), curve.x[0], curve.x[-1], curve.y[-1]) for curve in curves] == [(5, 0, 41, 20.5)] * 2
    monkeypatch.setattr(comparisons, "MOST_POINTS", 83)
    query = {"runs": ",".join(map(str, ids)), "name": "mean of osc.sync"}
    answer = ann.client.get(f"{ann.root}/runs/compare/curves/", query)
    assert answer.status_code == 400
    assert "84 points" in answer.json()["problems"][0]["message"]


def test_curves_are_outputs_of_runs_and_points_of_sweeps(ann: Any) -> None:
    first = over(ann, ann.submit(ticks=10), **{"osc.x": [0.5, 1.5, 2.5], "osc.sync": 1.0, "osc.name": ["a", "b"]})
    second = over(ann, ann.submit(ticks=10), **{"osc.x": list(range(2000))})
    design = {
        "axes": [{"target": "osc.coupling", "values": [0.1, 0.2, 0.3]}], "sampling": "grid",
        "metrics": [{"port": "osc.sync", "reduce": "mean", "start": 0}],
    }  # fmt: skip
    swept = sweeps.submit_sweep(ann.user, ann.workspace, ann.graph, design, 1, 10)
    with scope(ann.workspace.id):
        attempt = services.claim(swept.pk, "w")
        values = [0.5, None, 0.25]
        record_points(attempt, [DonePoint(i, {}, 1, {"mean of osc.sync": v}) for i, v in enumerate(values)])
    runs = [first, second, swept]
    assert asked(ann, runs).json()["curves"] == ["osc.x", "mean of osc.sync"]

    def curves(name: str) -> list[dict[str, Any]]:
        ids = ",".join(str(run.pk) for run in runs)
        answer = ann.client.get(f"{ann.root}/runs/compare/curves/", {"runs": ids, "name": name})
        assert answer.status_code == 200, answer.content
        return list(answer.json()["curves"])

    one, other = curves("osc.x")
    assert one == {"run": str(first.pk), "x": [0, 1, 2], "y": [0.5, 1.5, 2.5]}
    assert (len(other["x"]), other["x"][0], other["x"][-1]) == (500, 0, 1999)
    assert curves("mean of osc.sync") == [{"run": str(swept.pk), "x": [0, 2], "y": [0.5, 0.25]}]
    assert curves("nothing") == []
