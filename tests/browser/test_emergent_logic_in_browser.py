"""A person meets the product: signs up, runs the preset, turns a control, reads the result, cancels a second run."""

import json
import re
from urllib.parse import urljoin

import pytest
from person import sign_up
from playwright.sync_api import Page, WebSocket, expect

pytestmark = pytest.mark.browser

SECOND = 1000
RUN_PATIENCE = 900 * SECOND  # a full run on a small machine that does other things as well


def start_run(page: Page, url: str, seed: int) -> None:
    """From the gallery to a run of the preset."""
    page.goto(url)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Presets").click()
    page.get_by_role("link", name="Emergent logic").click()
    page.get_by_role("button", name="Use this preset").click()
    expect(page.get_by_role("heading", name="Emergent logic", level=1)).to_be_visible()
    page.get_by_label("Seed").fill(str(seed))
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-f-]{36}/$"))


def drawn(page: Page, view: str) -> int:
    """How many frames a view has drawn."""
    return int(page.locator(f'[data-view="{view}"]').get_attribute("data-frames-drawn") or 0)


def wait_for_frames(page: Page, view: str, more_than: int) -> None:
    page.wait_for_function(
        "([view, n]) => Number(document.querySelector(`[data-view=${view}]`)?.dataset.framesDrawn) > n",
        arg=[view, more_than],
        timeout=120 * SECOND,
    )


def lit_pixels(page: Page, selector: str) -> int:
    """How many pixels of an element's picture differ from its corner's colour."""
    return page.evaluate(
        """async ([bytes]) => {
          const image = await createImageBitmap(new Blob([new Uint8Array(bytes)], {type: "image/png"}));
          const canvas = new OffscreenCanvas(image.width, image.height);
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          const data = context.getImageData(0, 0, image.width, image.height).data;
          let lit = 0;
          for (let i = 0; i < data.length; i += 4) {
            const apart = [0, 1, 2].reduce((sum, k) => sum + Math.abs(data[i + k] - data[k]), 0);
            if (apart > 24) lit++;
          }
          return lit;
        }""",
        [list(page.screenshot(clip=page.locator(selector).bounding_box(), timeout=120 * SECOND))],
    )


def test_the_preset_from_sign_up_to_verified_gates(page, stack, violations):
    sign_up(page, stack.url)
    start_run(page, stack.url, seed=7)
    run = page.locator(".run-page")
    expect(run).to_have_attribute("data-run-state", "running", timeout=120 * SECOND)
    expect(page.locator("[data-link]")).to_have_attribute("data-link", "linked")

    # Frames arrive and go on arriving, and what they draw is a picture.
    wait_for_frames(page, "phase", 5)
    wait_for_frames(page, "phase", drawn(page, "phase") + 5)
    assert lit_pixels(page, '[data-view="phase"] canvas') > 500
    assert float(page.locator(".hud-fps").get_attribute("data-fps") or 0) > 0

    # A control that is moved by keys acts on the running graph, says when, and can be taken back.
    slider = page.get_by_label("Coupling", exact=True)
    slider.focus()
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    status = page.locator("#control-array-coupling-status")
    expect(status).to_have_text(re.compile(r"applied at tick \d"), timeout=30 * SECOND)
    expect(page.locator('[data-kind="control"]').last).to_contain_text("array.coupling")
    page.get_by_role("button", name="Revert Coupling").click()
    expect(slider).to_have_value("0.2")
    expect(page.locator('[data-kind="control"]').last).to_contain_text("set to 0.2", timeout=30 * SECOND)

    # Space pauses: the clock stands still; space again and it goes on.
    page.locator("body").click(position={"x": 5, "y": 400})
    page.keyboard.press(" ")
    expect(page.locator("[data-state]")).to_have_text("Paused", timeout=30 * SECOND)
    assert violations(page) == []
    page.keyboard.press(" ")
    expect(page.locator("[data-state]")).to_have_text("Running", timeout=30 * SECOND)

    # A lost link comes back by itself and no event is missing or doubled.
    page.context.set_offline(True)
    expect(page.locator("[data-link]")).to_have_attribute("data-link", "offline")
    page.context.set_offline(False)
    expect(page.locator("[data-link]")).to_have_attribute("data-link", "linked", timeout=30 * SECOND)

    expect(run).to_have_attribute("data-run-state", "succeeded", timeout=RUN_PATIENCE)
    rows = page.locator("table.gates tbody tr")
    expect(rows.first).to_be_visible(timeout=30 * SECOND)
    gates = {row.get_attribute("data-gate") for row in rows.all()}
    assert len(gates) >= 3
    assert gates & {"XOR", "XNOR"}
    # Each truth-table row shows its rate and interval, and they are those of the stored result.
    download = page.get_by_role("link", name="Download JSON").get_attribute("href")
    result = page.request.get(urljoin(page.url, download)).json()
    (table,) = [one for one in result["tables"].values() if "r00" in one["columns"]]
    listed = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    for row in rows.all()[:5]:
        gate, cell, lag = row.get_attribute("data-gate"), *(row.locator("td").nth(i).inner_text() for i in (0, 1))
        (stored,) = [one for one in listed if (one["gate"], str(one["node"]), str(one["lag"])) == (gate, cell, lag)]
        assert stored["verified"] is True
        for place, inputs in enumerate(("00", "01", "10", "11")):
            shown = row.locator("td").nth(2 + place).inner_text()
            assert f"{stored[f'r{inputs}'] * 100:.1f} %" in shown
            assert f"{stored[f'lo{inputs}'] * 100:.1f}–{stored[f'hi{inputs}'] * 100:.1f}" in shown
    # Two presses may arrive as one move or as two; both end at .3, and then it is taken back.
    moves = [entry["value"] for entry in result["control_log"]]
    assert moves in ([0.3, 0.2], [0.25, 0.3, 0.2])
    assert [entry["target"] for entry in result["control_log"]] == ["array.coupling"] * len(moves)
    assert page.locator(".manifest").inner_text().count(result["result_hash"]) == 1

    kept = page.request.get(page.url.replace("/w/", "/api/v1/workspaces/") + "events/?after=0").json()
    seen = [int(one.get_attribute("data-seq")) for one in page.locator("[data-seq]").all()]
    assert seen == [event["seq"] for event in kept] == list(range(1, len(kept) + 1))

    # Who comes later finds the same result.
    page.reload()
    expect(page.locator("table.gates tbody tr").first).to_be_visible()
    assert violations(page) == []


def test_a_run_is_cancelled_after_asking(page, stack):
    sign_up(page, stack.url)
    start_run(page, stack.url, seed=11)
    run = page.locator(".run-page")
    expect(run).to_have_attribute("data-run-state", "running", timeout=120 * SECOND)
    wait_for_frames(page, "phase", 2)

    page.get_by_role("button", name="Cancel the run").click()
    dialog = page.get_by_role("dialog", name="Cancel this run?")
    dialog.get_by_role("button", name="Let it run").click()
    expect(dialog).not_to_be_visible()
    expect(run).to_have_attribute("data-run-state", "running")

    page.keyboard.press("c")
    dialog.get_by_role("button", name="Cancel the run").click()
    expect(run).to_have_attribute("data-run-state", "cancelled", timeout=30 * SECOND)
    expect(page.get_by_test_id("result")).to_contain_text("cancelled before its end")
    expect(page.get_by_label("Coupling", exact=True)).to_be_disabled()
    expect(page.locator(".progress-words")).to_contain_text("took")
    tick = page.locator(".progress-words").inner_text()
    page.reload()
    expect(run).to_have_attribute("data-run-state", "cancelled")
    assert page.locator(".progress-words").inner_text() == tick


def test_views_that_cannot_be_seen_are_not_asked_for(page, stack):
    sign_up(page, stack.url)
    asked: list[str | bytes] = []

    def listen(socket: WebSocket) -> None:
        def note(message: str | bytes) -> None:
            asked.append(message)

        socket.on("framesent", note)

    page.on("websocket", listen)
    start_run(page, stack.url, seed=3)
    wait_for_frames(page, "phase", 2)
    page.evaluate("document.getElementById('graph').scrollIntoView()")
    page.wait_for_function(
        """async () => {
          const phase = document.querySelector('[data-view=phase]');
          const before = phase.dataset.framesDrawn;
          await new Promise((resolve) => setTimeout(resolve, 1500));
          return phase.dataset.framesDrawn === before;
        }""",
        timeout=60 * SECOND,
    )
    assert any(b"unsubscribe" in message for message in asked if isinstance(message, bytes))
    page.evaluate("scrollTo(0, 0)")
    wait_for_frames(page, "phase", drawn(page, "phase"))
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()
    expect(page.locator(".run-page")).to_have_attribute("data-run-state", "cancelled", timeout=30 * SECOND)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_no_page_has_a_serious_fault_of_accessibility_or_scrolls_sideways(chromium, stack, violations, scheme, width):
    context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    faults = []

    def check(path: str) -> None:
        page.goto(path)
        faults.extend(violations(page))
        if page.evaluate("document.documentElement.scrollWidth") > width:
            faults.append((page.url, "scrolls sideways"))

    for path in ("", "presets/", "presets/?q=nothing", "presets/emergent_logic/", "accounts/login/",
                 "accounts/signup/", "accounts/password/reset/", "no/such/page/"):  # fmt: skip
        check(stack.url + path)
    sign_up(page, stack.url)
    home = page.url
    page.goto(f"{stack.url}presets/emergent_logic/")
    page.get_by_role("button", name="Use this preset").click()
    graph = page.url
    faults.extend(violations(page))  # with the notice that the graph was made
    page.goto(f"{home}projects/")
    project = page.locator(".list-title").first.get_attribute("href")
    for path in (home, f"{home}projects/", f"{stack.url.rstrip('/')}{project}", graph, f"{home}runs/",
                 f"{stack.url}accounts/email/", f"{stack.url}accounts/password/change/",
                 f"{stack.url}accounts/logout/"):  # fmt: skip
        check(path)
    context.close()
    assert faults == []


def test_the_theme_switch_holds_on_the_next_page_with_and_without_scripts(chromium, stack):
    for scripts in (True, False):
        context = chromium.new_context(java_script_enabled=scripts, color_scheme="light")
        page = context.new_page()
        page.goto(stack.url)
        page.get_by_role("button", name="Switch between light and dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.goto(f"{stack.url}presets/")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        context.close()


def test_document_pages_work_without_scripts(chromium, stack):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_up(page, stack.url)
    start_run(page, stack.url, seed=5)
    # The form led to the run; its live page says what it can without scripts.
    expect(page.locator("noscript")).to_have_count(1)
    assert "needs JavaScript" in page.content()
    data = json.loads(page.locator("#run-data").inner_text())
    assert data["run"]["state"] in ("queued", "running")
    csrf = page.locator("[name=csrfmiddlewaretoken]").first.get_attribute("value")
    stopped = page.request.post(
        stack.url.rstrip("/") + data["run"]["urls"]["cancel"],
        data={},
        headers={"X-CSRFToken": str(csrf), "Referer": stack.url},
    )
    assert stopped.status == 202
    context.close()
