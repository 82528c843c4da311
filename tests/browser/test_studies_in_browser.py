"""A person works with several runs: a sweep, series over each other, files in other formats, a webhook."""

import http.server
import io
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from person import Workspace
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect
from standardwebhooks import Webhook

from tests.running_stack import RunningStack, started_stack

pytestmark = pytest.mark.browser

SECOND = 1000
PATIENCE = 120 * SECOND  # of a machine that does other things as well

ARRAY = {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16}}], "edges": []}
WILD = {
    "nodes": [{"id": "osc", "kind": "osc.array", "params": {"cell": "chua", "N": 16, "speed": 20.0}}], "edges": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def product() -> Iterator[RunningStack]:
    """The whole stack, which tells receivers on this machine too, and writes every export in the background."""
    data_dir = settings.TESTBED.data_dir / "stack-studies"
    shutil.rmtree(data_dir, ignore_errors=True)
    told = {
        "ATTRACTOR__WEBHOOKS__INSECURE": "true", "ATTRACTOR__WEBHOOKS__POLL": "0.2",
        "ATTRACTOR__RUNS__EXPORT_AT_ONCE": "0", "ATTRACTOR__RUNS__SWEEP": "1",
    }  # fmt: skip
    with started_stack(data_dir, covered=False, **told) as running:
        expect.set_options(timeout=PATIENCE)
        yield running
        expect.set_options(timeout=5 * SECOND)


@pytest.fixture
def refusals() -> list[int]:
    """Statuses that a test asks for, which the browser notes in its console."""
    return []


@pytest.fixture
def page(chromium: Browser, refusals: list[int]) -> Iterator[Page]:
    """A page of a fresh person; the test fails when a script of ours does, or says so."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            faults.append(f"{message.text} {message.location['url']}")

    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on("console", note)
    yield opened
    context.close()
    assert [fault for fault in faults if not any(f"status of {status}" in fault for status in refusals)] == []


def painted(canvas: Locator) -> int:
    """How many pixels of a drawing are not clear."""
    found: int = canvas.evaluate(
        """(canvas) => {
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          let painted = 0;
          for (let i = 3; i < data.length; i += 4) if (data[i] > 0) painted++;
          return painted;
        }"""
    )
    return found


def over(page: Page, state: str = "succeeded") -> None:
    expect(page.locator(".run-page")).to_have_attribute("data-run-state", state)


def start(page: Page, graph: str, seed: int, ticks: int) -> str:
    """Run a graph from its page; the run's id."""
    page.goto(graph)
    form = page.get_by_role("region", name="Run", exact=True)
    form.get_by_label("Seed").fill(str(seed))
    form.get_by_label("Ticks").fill(str(ticks))
    form.get_by_role("button", name="Run", exact=True).click()
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-f-]{36}/$"))
    over(page)
    return page.url.rstrip("/").rpartition("/")[2]


def recording(place: Workspace, run: str) -> Any:
    """What a run recorded, read by pyarrow."""
    kept: list[Any] = []
    for _ in range(100):
        if kept := place.get(f"artifacts/?run={run}&kind=recording")["results"]:
            break
        place.page.wait_for_timeout(100)
    return pq.read_table(io.BytesIO(place.page.request.get(place.home.split("/w/")[0] + kept[0]["url"]).body()))


def test_a_sweep_from_its_page_to_its_repetition(page: Page, product: RunningStack, refusals: list[int]) -> None:
    place = Workspace(page, product.url)
    page.goto(place.graph("wild", WILD))
    form = page.get_by_role("region", name="Study")
    first = form.get_by_role("group", name="Axis 1")
    first.get_by_label("Parameter").select_option("osc.coupling")
    for field, value in (("From", "0.1"), ("To", "5"), ("Steps", "2")):
        first.get_by_label(field).fill(value)
    form.get_by_role("button", name="Add an axis").click()
    second = form.get_by_role("group", name="Axis 2")
    second.get_by_label("Parameter").select_option("seed")
    for field, value in (("From", "0"), ("To", "2"), ("Steps", "3")):
        second.get_by_label(field).fill(value)
    form.get_by_label("Seed", exact=True).fill("5")
    form.get_by_label("Ticks").fill("300")

    # The server's bounds of the time limit are said beside its field, which has the focus then.
    limit = form.get_by_label("Time limit, s")
    expect(form).to_contain_text("1 to 86\u202f400")
    refusals += [400, 422]
    for typed, said in (("100000", "100000 is out of range. Give 1 to 86400 seconds, or none."), ("1 h", "integer")):
        limit.fill(typed)
        form.get_by_role("button", name="Sweep 6 points").click()
        expect(limit).to_have_attribute("aria-invalid", "true")
        expect(limit).to_be_focused()
        described = str(limit.get_attribute("aria-describedby")).split()
        expect(page.locator(f'[id="{described[-1]}"]')).to_contain_text(said)
        expect(limit).to_have_value(typed)
    limit.fill("600")
    form.get_by_role("button", name="Sweep 6 points").click()
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-f-]{36}/$"))
    over(page)

    run = page.url.rstrip("/").rpartition("/")[2]
    assert place.get(f"runs/{run}/")["max_seconds"] == 600
    points = {point["index"]: point for point in place.get(f"runs/{run}/points/")["results"]}
    assert [bool(points[index]["error"]) for index in range(6)] == [False] * 3 + [True] * 3
    for view in ("heat-map", "parallel"):
        canvas = page.locator(f'[data-view="{view}"]')
        expect(canvas).to_be_visible()
        assert painted(canvas) > 2000
    # The map says of a place what the point is.
    heat = page.locator('[data-view="heat-map"]')
    heat.focus()
    heat.press("ArrowRight")
    shown = page.locator(".series-readout").first
    expect(shown).to_contain_text(f"{points[0]['metrics']['osc.sync']:.3g}")
    rows = page.get_by_test_id("points-table").locator("tbody tr")
    expect(rows).to_have_count(6)
    expect(page.locator('[data-testid="points-table"] tr[data-state="failed"]')).to_have_count(3)

    page.get_by_role("button", name="Re-run 3 failed points").click()
    expect(page).not_to_have_url(re.compile(run))
    over(page)
    again = page.url.rstrip("/").rpartition("/")[2]
    repeated = place.get(f"runs/{again}/points/")["results"]
    # What went well is carried over, what failed by the graph's own law fails again.
    assert [point["carried"] for point in repeated] == [True] * 3 + [False] * 3
    assert [point["error"] for point in repeated] == [points[index]["error"] for index in range(6)]
    expect(rows).to_have_count(6)


def test_series_of_two_runs_over_each_other(page: Page, product: RunningStack) -> None:
    place = Workspace(page, product.url)
    graph = place.graph("array", ARRAY)
    runs = [start(page, graph, seed, 1200) for seed in (1, 2)]
    tables = [recording(place, run) for run in runs]
    page.goto(f"{place.home}runs/")
    for box in page.get_by_role("checkbox", name=re.compile("Compare array")).all():
        box.check()
    page.get_by_role("button", name="Compare marked runs").click()
    panel = page.get_by_role("region", name="Recorded series")
    plot = panel.locator('[data-view="series"]')
    expect(plot).to_have_attribute("data-lines", "2")
    expect(panel).to_contain_text("2\u202f400 values, drawn by the smallest and the largest of even intervals")
    both = painted(plot.locator("canvas"))
    expect(panel.get_by_label("Recorded port")).to_have_value("osc.sync")

    # By keys to the end: what is read out there is what Parquet holds.
    place_of = panel.get_by_label("Read out at")
    place_of.press("End")
    expect(panel.locator("output")).to_have_text("12 s")
    for run, table in zip(runs, tables, strict=True):
        last = table["osc.sync"].to_pylist()[-1]
        expect(panel.locator(f'[data-run="{run}"] .readout')).to_have_text(f"{float(f'{last:.3g}'):g}")
    panel.get_by_role("button", name="Ticks").click()
    expect(panel.get_by_role("button", name="Ticks")).to_have_attribute("aria-pressed", "true")
    place_of.press("Home")
    expect(panel.locator("output")).to_have_text("tick 0")
    # By pointer: somewhere in the middle.
    plot.locator(".u-over").hover()
    expect(panel.locator("output")).to_have_text(re.compile(r"tick [56]\d\d"))

    # A run is hidden and shown again, also by keys.
    box = panel.get_by_role("checkbox").first
    box.press(" ")
    expect(plot).to_have_attribute("data-lines", "1")
    assert 0 < painted(plot.locator("canvas")) < both
    box.press(" ")
    expect(plot).to_have_attribute("data-lines", "2")
    # The address is what is passed on.
    assert "axis=ticks" in page.url
    page.reload()
    expect(panel.get_by_role("button", name="Ticks")).to_have_attribute("aria-pressed", "true")
    expect(plot).to_have_attribute("data-lines", "2")


def test_an_export_from_the_page_of_a_run(page: Page, product: RunningStack, tmp_path: Path) -> None:
    place = Workspace(page, product.url)
    run = start(page, place.graph("array", ARRAY), 7, 300)
    files = page.get_by_test_id("files")
    files.get_by_label("Export as").select_option("hdf5")
    files.get_by_role("button", name="Export", exact=True).click()
    expect(files.get_by_role("progressbar", name="Export as HDF5")).to_be_visible()
    link = files.get_by_role("link", name=re.compile(r"Download array-.*\.h5"))
    expect(link).to_be_visible()
    expect(files.get_by_role("progressbar")).to_have_count(0)
    with page.expect_download() as begun:
        link.click()
    begun.value.save_as(tmp_path / "export.h5")
    table = recording(place, run)
    with h5py.File(tmp_path / "export.h5") as file:
        group = file["osc/sync"]
        np.testing.assert_array_equal(group["values"], table["osc.sync"].to_numpy())
        np.testing.assert_array_equal(group["ticks"], np.arange(300))
    assert begun.value.suggested_filename.endswith(".h5")


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """An address that takes every message, and the messages."""
    heard: list[tuple[dict[str, str], bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(202)
            self.end_headers()
            self.wfile.write(b"heard you")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", heard
    server.shutdown()
    server.server_close()


def test_a_webhook_from_its_making_to_its_end(
    page: Page, product: RunningStack, receiver: tuple[str, list[Any]], refusals: list[int]
) -> None:
    address, heard = receiver
    place = Workspace(page, product.url)
    page.goto(f"{place.home}webhooks/")
    page.get_by_label("Address").fill(address)
    page.get_by_label("What it is for (optional)", exact=True).fill("Board")
    page.get_by_role("button", name="Add the webhook").click()
    secret = page.get_by_role("textbox", name="Secret").input_value()
    assert secret.startswith("whsec_")
    # Loaded again it shows no secret, and there is one webhook.
    page.reload()
    expect(page.get_by_role("textbox", name="Secret")).to_have_count(0)
    assert secret not in page.content()
    assert len(place.get("webhooks/")["results"]) == 1

    page.get_by_role("button", name="Send a trial").click()
    for _ in range(100):
        if page.locator(".chip", has_text="Delivered").count():
            break
        page.wait_for_timeout(200)
        page.reload()
    page.get_by_text("Answers").click()
    expect(page.locator(".delivery-log")).to_contain_text("202")
    expect(page.locator(".delivery-log")).to_contain_text("heard you")
    ((headers, body),) = heard
    # As the library of Standard Webhooks verifies it.
    assert Webhook(secret).verify(body, headers)["type"] == json.loads(body)["type"] == "ping"

    # Two people change it at once: the second is told, and loses nothing that was typed.
    second = page.context.new_page()
    second.goto(page.url)
    page.get_by_label("What it is for (optional)", exact=True).fill("The first")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The webhook is changed.")).to_be_visible()
    refusals.append(412)
    second.get_by_label("What it is for (optional)", exact=True).fill("The second")
    second.get_by_role("checkbox", name="run.cancelled").check()
    second.get_by_role("button", name="Save").click()
    told = second.get_by_role("alert").filter(has_text="Nothing was saved")
    expect(told).to_contain_text("The first")
    expect(told).to_contain_text("What you typed is kept below")
    expect(second.get_by_label("What it is for (optional)", exact=True)).to_have_value("The second")
    expect(second.get_by_role("checkbox", name="run.cancelled")).to_be_checked()
    assert place.get("webhooks/")["results"][0]["description"] == "The first"
    second.get_by_role("button", name="Save").click()
    expect(second.get_by_text("The webhook is changed.")).to_be_visible()
    kept = place.get("webhooks/")["results"][0]
    assert (kept["description"], "run.cancelled" in kept["events"]) == ("The second", True)

    second.get_by_text("Delete this webhook").click()
    second.get_by_role("button", name="Delete for good").click()
    expect(second.get_by_role("heading", name="No webhooks")).to_be_visible()
    assert place.get("webhooks/")["results"] == []
