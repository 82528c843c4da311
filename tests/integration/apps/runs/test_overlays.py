"""Recorded series of several runs over each other: which there are, what they hold, pages, and why some have none."""

from __future__ import annotations

import io
import itertools
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from django.core.files.storage import storages

from apps.projects.services import create_graph
from apps.runs import artifacts, files, overlays, services
from apps.workspaces.scope import scope

X = {"node": "osc", "port": "x"}
SYNC = {"node": "osc", "port": "sync"}


@pytest.fixture(autouse=True)
def roomy(settings: Any) -> None:
    quotas = settings.ATTRACTOR.quotas.model_copy(update={"active_runs": 500})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})


def series(tenant: Any, runs: Any, port: str = "osc.sync", **query: Any) -> Any:
    ids = ",".join(str(getattr(run, "pk", run)) for run in runs)
    return tenant.client.get(f"{tenant.root}/runs/compare/series/", {"runs": ids, "port": port, **query})


def table(tenant: Any, run: Any) -> Any:
    """What the run recorded, read by pyarrow alone."""
    (row,) = tenant.get(f"/artifacts/?run={run.pk}&kind=recording").json()["results"]
    return pq.read_table(io.BytesIO(b"".join(tenant.client.get(row["url"]).streaming_content)))


def place_of(tenant: Any, run: Any) -> Path:
    with scope(tenant.workspace.id):
        found = artifacts.recording_of(run)
    assert found is not None
    return Path(storages["default"].path(files.stored(tenant.workspace.id, found.content)))


def silent(tenant: Any) -> Any:
    """A run that is over and was to record nothing."""
    run = tenant.submit(ticks=10, record=[])
    with scope(tenant.workspace.id):
        services.finish(services.claim(run.pk, "w"), "succeeded", result={}, result_hash="h")
    return run


def test_ports_that_two_runs_recorded_are_offered(ann: Any, ended_run: Any) -> None:
    runs = [ended_run(ann, record=[X, SYNC]), ended_run(ann, record=[SYNC, {"node": "osc", "port": "y"}])]
    runs += [ended_run(ann, record=[]), ended_run(ann, record=[X, {**SYNC, "every": 5}]), ann.submit(ticks=10)]
    ids = ",".join(str(run.pk) for run in runs)
    said = ann.client.get(f"{ann.root}/runs/compare/", {"runs": ids}).json()["recorded"]
    assert [(one["port"], one["kind"], one["elements"], one["runs"]) for one in said] == [
        ("osc.x", "vector", 16, 2), ("osc.sync", "scalar", 1, 3),
    ]  # fmt: skip


def test_series_are_what_parquet_holds(ann: Any, ended_run: Any) -> None:
    runs = [ended_run(ann, seed=1, record=[X]), ended_run(ann, seed=2, ticks=60, record=[{**X, "every": 3}])]
    for axis, column in (("seconds", "t"), ("ticks", "tick")):
        said = series(ann, runs, "osc.x", axis=axis, element=5).json()
        assert [one["run"] for one in said["results"]] == [str(run.pk) for run in runs]
        for run, one in zip(runs, said["results"], strict=True):
            held = table(ann, run)
            values = [value[5] for value in held["osc.x"].to_pylist()]
            np.testing.assert_allclose(one["x"], held[column].to_pylist(), rtol=1e-12)
            assert one["y"] == values
            assert (one["samples"], one["thinned"], one["not_finite"]) == (len(values), False, 0)
    assert (said["count"], said["next"], said["left_out"]) == (2, None, [])


def test_a_long_series_has_few_points_and_all_extremes(ann: Any, ended_run: Any) -> None:
    runs = [ended_run(ann, seed=seed, ticks=1000, record=[X]) for seed in (1, 2)]
    said = series(ann, runs, "osc.x", axis="ticks", points=22).json()
    for run, one in zip(runs, said["results"], strict=True):
        values = np.array(table(ann, run)["osc.x"].to_pylist())[:, 0]
        assert one["thinned"]
        assert one["samples"] == 1000
        assert len(one["x"]) <= 22
        edges = np.linspace(0, 999, 11)
        edges[-1] = 1000  # the last one too
        at = np.array(one["x"], int)
        np.testing.assert_array_equal(values[at], one["y"])
        for low, high in itertools.pairwise(edges):
            inside = np.arange(np.ceil(low), np.ceil(high), dtype=int)
            kept = at[(at >= low) & (at < high)]
            assert values[kept].max() == values[inside].max()
            assert values[kept].min() == values[inside].min()


def test_pages_show_every_run_once_and_each_says_why_it_has_no_series(ann: Any, ended_run: Any) -> None:
    # A sweep, one that goes on, one whose file waits to be put together, one without, one deleted, lost or damaged.
    other = create_graph(
        ann.user, ann.workspace, ann.project, "one",
        {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 6}}], "edges": []},
    )  # fmt: skip
    runs = {
        "": ended_run(ann, record=[X]),
        "no_such_element": ended_run(ann, graph=other, record=[X]),
        "run_not_over": ann.submit(ticks=10),
        "recording_pending": ended_run(ann, gathered=False, record=[X]),
        "nothing_recorded": silent(ann),
        "port_not_recorded": ended_run(ann, record=[SYNC]),
        "recording_gone": ended_run(ann, seed=5, record=[X]),
        "recording_damaged": ended_run(ann, seed=6, record=[X]),
    }
    damaged = place_of(ann, runs["recording_damaged"])
    damaged.write_bytes(damaged.read_bytes()[:-40])
    lost = ended_run(ann, seed=8, record=[X])
    place_of(ann, lost).unlink()
    with scope(ann.workspace.id):
        deleted = artifacts.recording_of(runs["recording_gone"])
        assert deleted is not None
        artifacts.expire(deleted.pk)
    asked = [*runs.values(), lost]
    page = series(ann, asked, "osc.x", element=9, page_size=2).json()
    seen, left_out, pages = page["results"], page["left_out"], 1
    while page["next"]:
        page = ann.client.get(page["next"]).json()
        seen, left_out, pages = seen + page["results"], left_out + page["left_out"], pages + 1
    assert pages == 5
    assert [one["run"] for one in seen] == [str(runs[""].pk)]
    expected = {str(run.pk): code for code, run in runs.items() if code} | {str(lost.pk): "recording_gone"}
    assert {one["run"]: one["code"] for one in left_out} == expected
    assert all(one["message"].endswith(".") for one in left_out)


def test_where_no_run_has_it_the_answer_is_a_conflict_that_says_why(ann: Any, ended_run: Any) -> None:
    nothing, pending = silent(ann), ended_run(ann, gathered=False, record=[SYNC])
    answer = series(ann, [nothing, pending])
    assert (answer.status_code, answer.json()["code"]) == (409, "recording_pending")
    assert answer["Content-Type"] == "application/problem+json"
    assert any("put together" in one["message"] for one in answer.json()["problems"])
    answer = series(ann, [nothing, ended_run(ann, record=[SYNC])], "osc.nothing")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_recorded")
    assert {one["place"] for one in answer.json()["problems"]} == {"port"}


def test_a_page_reads_no_more_than_it_may(ann: Any, ended_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [ended_run(ann, seed=seed, record=[X]) for seed in range(5)]
    # 100 rows of 16 + 64 bytes each.
    monkeypatch.setattr(overlays, "READ_BYTES", 20_000)
    sizes, page = [], series(ann, runs, "osc.x").json()
    sizes.append(len(page["results"]))
    while page["next"]:
        page = ann.client.get(page["next"]).json()
        sizes.append(len(page["results"]))
    assert sizes == [2, 2, 1]
    monkeypatch.setattr(overlays, "READ_BYTES", 1)
    assert len(series(ann, runs, "osc.x").json()["results"]) == 1


def test_one_foreign_or_absent_run_is_404_for_all(ann: Any, bob: Any, ended_run: Any) -> None:
    mine, foreign = ended_run(ann, record=[SYNC]), ended_run(bob, record=[SYNC])
    answers = [series(ann, [mine, stranger]) for stranger in (foreign, uuid.uuid4())]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
    assert series(bob, [mine, foreign]).status_code == 404


def test_a_storage_that_is_away_is_503(ann: Any, ended_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [ended_run(ann, seed=seed, record=[SYNC]) for seed in (1, 2)]

    def away(place: str) -> Any:
        raise PermissionError(13, "away")

    monkeypatch.setattr(files, "opened", away)
    answer = series(ann, runs)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_away")
    assert answer["Retry-After"]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"port": ""}, "port"), ({"port": "a\x00b"}, "port"), ({"port": "x" * 131}, "port"),
        ({"axis": "hours"}, "axis"),
        ({"element": "-1"}, "element"), ({"element": str(2**31)}, "element"), ({"points": "3"}, "points"),
        ({"points": "2001"}, "points"), ({"points": "1e3"}, "points"), ({"page_size": "101"}, "page_size"),
        ({"cursor": "A" * 22}, "cursor"), ({"runs": "x"}, "runs"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_says_why(ann: Any, query: dict[str, str], place: str) -> None:
    runs = ",".join(str(ann.submit(ticks=10).pk) for _ in range(2))
    answer = ann.client.get(f"{ann.root}/runs/compare/series/", {"runs": runs, "port": "osc.x", **query})
    assert answer.status_code == 400
    assert answer.json()["problems"][0]["place"] == place
