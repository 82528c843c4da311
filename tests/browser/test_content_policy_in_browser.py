"""A real browser takes our pages as the content policy allows them: it refuses nothing of ours, and what is not."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from person import Workspace
from playwright.sync_api import Browser, Page, expect

from config.layers import ROOT
from tests.running_stack import RunningStack

pytestmark = pytest.mark.browser

SECOND = 1000
PATIENCE = 120 * SECOND  # of a machine that does other things as well
# Asked of each page before any script of its own runs.
LISTEN = """
document.addEventListener("securitypolicyviolation", (found) =>
  window.tellOfViolation(`${found.violatedDirective} ${found.blockedURI} ${found.sourceFile}:${found.lineNumber}`))
"""


@pytest.fixture
def refused() -> list[str]:
    """What the browser has refused, on whichever page."""
    return []


@pytest.fixture
def page(chromium: Browser, refused: list[str]) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    context.expose_binding("tellOfViolation", lambda _, text: refused.append(text))
    context.add_init_script(LISTEN)
    context.on("console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None)
    context.on("weberror", lambda error: refused.append(str(error.error)))
    expect.set_options(timeout=PATIENCE)
    yield context.new_page()
    expect.set_options(timeout=5 * SECOND)
    context.close()


@pytest.fixture
def place(page: Page, stack: RunningStack) -> Workspace:
    return Workspace(page, stack.url)


def looked_at(page: Page, address: str, refused: list[str]) -> None:
    """Open a page, have all of its menus open, and wait until nothing more is loaded."""
    answer = page.goto(address)
    assert answer is not None
    assert answer.ok, f"{address}: {answer.status}"
    assert "'nonce-" in answer.headers["content-security-policy"] or "/admin/" in address
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true })")
    page.wait_for_load_state("networkidle")
    # The styles are there: a page that the policy has left bare would refuse nothing.
    assert page.evaluate("() => getComputedStyle(document.body).fontFamily") != "serif"
    assert refused == [], address


def as_operator(stack: RunningStack, email: str) -> None:
    """Make somebody an operator, as an operator does."""
    rights = "is_staff=True, is_superuser=True"
    program = f"from apps.accounts.models import User; print(User.objects.filter(email='{email}').update({rights}))"
    env = {**os.environ, "ATTRACTOR_ENV": "test", "ATTRACTOR_DATA_DIR": str(stack.data_dir)}
    env = {name: value for name, value in env.items() if not name.startswith("ATTRACTOR_DATABASE")}
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", program], cwd=ROOT, env=env,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip().endswith("1"), done.stdout + done.stderr


def test_pages_for_anybody(page: Page, stack: RunningStack, refused: list[str]) -> None:
    for path in ("", "presets/", "accounts/login/", "accounts/signup/",
                 "accounts/password/reset/", "accounts/password/reset/done/"):  # fmt: skip
        looked_at(page, stack.url + path, refused)
    page.goto(f"{stack.url}presets/")
    page.get_by_role("link", name="Emergent logic").click()
    page.get_by_role("heading", name="Emergent logic", level=1).wait_for()
    page.goto(f"{stack.url}no/such/page/")
    page.get_by_role("button", name="Switch between light and dark").click()
    assert refused == []


def test_pages_of_a_workspace(place: Workspace, page: Page, stack: RunningStack, refused: list[str]) -> None:
    page.goto(f"{stack.url}presets/")
    page.get_by_role("link", name="Emergent logic").click()
    page.get_by_role("button", name="Use this preset").click()
    expect(page.get_by_role("heading", name="Emergent logic", level=1)).to_be_visible()
    looked_at(page, page.url, refused)
    expect(page.locator(".react-flow__node").first).to_be_visible()  # the editor is loaded when it is needed
    page.get_by_label("Seed").first.fill("1")
    page.get_by_label("Ticks").first.fill("600")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-f-]{36}/$"))
    # Frames come by the socket, and are drawn by WebGL and on canvases.
    expect(page.locator(".run-page")).to_have_attribute("data-run-state", "succeeded")
    page.wait_for_load_state("networkidle")
    assert refused == []
    run = page.url
    looked_at(page, run, refused)
    for path in ("", "projects/", "runs/", "members/", "settings/", "usage/", "audit/", "shares/", "keys/", "webhooks/",
                 "security/", f"runs/compare/?runs={run.rstrip('/').rpartition('/')[2]}"):  # fmt: skip
        looked_at(page, place.home + path, refused)
    looked_at(page, f"{stack.url}workspaces/new/", refused)


def test_pages_of_a_person_and_of_the_operators(
    place: Workspace, page: Page, stack: RunningStack, refused: list[str]
) -> None:
    for path in ("account/", "account/sessions/", "account/security/", "account/two-step/", "accounts/email/",
                 "accounts/password/change/", "accounts/3rdparty/", "account/delete/"):  # fmt: skip
        looked_at(page, stack.url + path, refused)
    page.goto(f"{stack.url}account/two-step/")
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("img", name="QR code with the secret below")).to_be_visible()
    secret = page.get_by_label("Or type this secret into it").input_value().replace(" ", "")
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    totp = TOTP(key, 6, SHA1(), 30, enforce_key_length=False)  # noqa: S303 as RFC 6238 has it
    now = int(time.time())
    page.get_by_label("Code", exact=True).fill(totp.generate(now).decode())
    page.get_by_role("button", name="Switch it on").click()
    expect(page.get_by_text("Two-step sign-in is on.")).to_be_visible()
    assert refused == []

    me = place.get(f"{stack.url}api/v1/me/")
    as_operator(stack, me["email"])
    # Its door takes a code of its own: that of the next half minute, as a clock may be so much ahead.
    looked_at(page, f"{stack.url}admin/", refused)
    page.get_by_label("Code", exact=True).fill(totp.generate(now + 30).decode())
    page.get_by_role("button", name="Open").click()
    looked_at(page, f"{stack.url}admin/", refused)
    addresses = page.locator("#content a[href^='/admin/']").evaluate_all("(all) => all.map((one) => one.href)")
    assert len(addresses) > 3
    for address in dict.fromkeys(addresses):
        looked_at(page, address, refused)

    # Signed out, the page that asks for the code.
    page.goto(stack.url + "accounts/logout/")
    page.get_by_role("button", name="Sign out").last.click()
    page.goto(stack.url + "accounts/login/")
    page.get_by_label("Email").fill(me["email"])
    page.get_by_label("Password", exact=True).fill("a long enough secret 7")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Enter your code")).to_be_visible()
    assert refused == []


def element(tag: str, more: str) -> str:
    """A script that puts one more element into the page."""
    return f"const one = document.createElement('{tag}'); {more}; body.append(one)"


THERE = "http://127.0.0.1:9/"
INJECTED: dict[str, str] = {
    "script-src-elem": element("script", "one.textContent = 'window.run = 1'"),
    "script-src-elem of our own host": element(
        "script", "one.src = document.querySelector('script[type=module]').src + '?again'"
    ),
    "script-src-attr": "body.setAttribute('onclick', 'window.run = 1'); body.click()",
    "script-src": "try { new Function('window.run = 1')() } catch {}",
    "style-src-elem": element("style", "one.textContent = 'body{color:red}'"),
    "style-src-attr": "body.setAttribute('style', 'color: red')",
    "img-src": "new Image().src = 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA='",
    "connect-src": f"fetch('{THERE}').catch(() => {{}})",
    "connect-src of a socket": "try { new WebSocket('ws://127.0.0.1:9/') } catch {}",
    "frame-src": element("iframe", "one.src = '/'"),
    "object-src": element("object", "one.data = '/'; one.type = 'text/html'"),
    "worker-src": "try { new Worker('/static/x.js') } catch {}",
    "base-uri": element("base", f"one.href = '{THERE}'"),
    "form-action": element("form", f"one.action = '{THERE}'") + "; one.submit()",
}


@pytest.mark.parametrize("directive", INJECTED)
def test_what_somebody_has_injected_is_refused(
    directive: str, page: Page, stack: RunningStack, refused: list[str]
) -> None:
    """Also the proof that the tests above would see a violation."""
    page.goto(stack.url)
    page.wait_for_load_state("networkidle")
    # By a script of the page's own world, which the policy holds for: playwright's own calls go past it.
    page.evaluate(f"() => {{ const body = document.body; setTimeout(() => {{ {INJECTED[directive]} }}, 0) }}")
    for _ in range(100):
        if refused:
            break
        page.wait_for_timeout(50)
    said = directive.partition(" ")[0]
    assert any(said in one for one in refused), refused
    assert page.evaluate("() => window.run") is None


def test_no_page_of_another_site_can_frame_ours(page: Page, stack: RunningStack) -> None:
    page.set_content(f'<iframe src="{stack.url}"></iframe>')
    page.wait_for_timeout(1000)
    (frame,) = [one for one in page.frames if one is not page.main_frame]
    assert frame.url.startswith("chrome-error:")
