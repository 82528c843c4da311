"""An operator in a real browser: the door, every page of the console, a banner, and somebody's name."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from person import Workspace
from playwright.sync_api import Browser, Page, expect

from config.layers import ROOT
from tests.running_stack import RunningStack

pytestmark = pytest.mark.browser

PROMOTE = (
    "from apps.accounts.models import User\n"
    "User.objects.filter(email='{email}').update(is_staff=True, is_superuser=True)\n"
)
PAGES = (
    "", "people/", "workspaces/", "runs/", "audit/", "operators/", "models/", "flags/", "flags/submit-runs/",
    "banners/", "presets/preset/",
)  # fmt: skip


class Operator:
    """A superuser with an authenticator, in a browser of the own."""

    def __init__(self, page: Page, stack: RunningStack) -> None:
        self.page, self.url = page, stack.url.rstrip("/")
        self.used = 0
        Workspace(page, stack.url)
        self.email = page.request.get(f"{self.url}/api/v1/me/").json()["email"]
        subprocess.run(
            [sys.executable, "manage.py", "shell", "-c", PROMOTE.format(email=self.email)], cwd=ROOT, check=True,
            env={**os.environ, "ATTRACTOR_ENV": "test", "ATTRACTOR_DATA_DIR": str(stack.data_dir)},
        )  # fmt: skip
        page.goto(f"{self.url}/account/two-step/")
        page.locator("main button[type=submit]").first.click()
        shown = page.locator("#secret").input_value().replace(" ", "")
        self.secret = base64.b32decode(shown + "=" * (-len(shown) % 8))
        page.locator("#id_code").fill(self.code())
        page.get_by_role("button", name="Switch it on").click()
        expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()

    def code(self) -> str:
        """The next code that was not used: each is taken once."""
        while (step := int(time.time()) // 30) <= self.used:
            time.sleep(0.2)
        self.used = step
        return TOTP(self.secret, 6, SHA1(), 30, enforce_key_length=False).generate(step * 30).decode()  # noqa: S303

    def open_console(self) -> None:
        self.page.goto(f"{self.url}/admin/")
        expect(self.page.get_by_role("heading", name="Operators' console")).to_be_visible()
        self.page.locator("#id_code").fill(self.code())
        self.page.get_by_role("button", name="Open").click()
        expect(self.page).to_have_url(f"{self.url}/admin/")


@pytest.fixture
def operator(chromium: Browser, stack: RunningStack) -> Iterator[Operator]:
    expect.set_options(timeout=60_000)  # of a machine that does other things as well
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    yield Operator(context.new_page(), stack)
    context.close()
    expect.set_options(timeout=5_000)


def test_the_console_and_somebody_s_name(
    operator: Operator, page: Page, stack: RunningStack, violations: Callable[[Page], list[Any]]
) -> None:
    person = Workspace(page, stack.url)
    email = person.get(f"{operator.url}/api/v1/me/")["email"]
    own = operator.page
    operator.open_console()

    for scheme, width in (("light", 1440), ("dark", 390)):
        own.emulate_media(color_scheme=scheme)
        own.set_viewport_size({"width": width, "height": 900})
        for path in PAGES:
            own.goto(f"{operator.url}/admin/{path}")
            assert violations(own) == []
            wide = own.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, path
    own.set_viewport_size({"width": 1440, "height": 900})

    # A page that is open already hears of a banner in a live region, without being loaded anew.
    own.goto(f"{operator.url}/admin/banners/")
    form = own.locator("form", has=own.locator("input[name=act][value=put_up]"))
    form.get_by_label("Text").fill("Down tonight from 22:00.")
    form.get_by_label("Reason").fill("the storage is being moved")
    form.get_by_role("button", name="Put one up").click()
    expect(own.get_by_text("Everybody is told.")).to_be_visible()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#site-notices[aria-live=polite]")).to_contain_text("Down tonight from 22:00.")
    assert violations(page) == []
    page.get_by_role("button", name="Put away").click()
    expect(page.locator("#site-notices")).not_to_contain_text("Down tonight")

    own.goto(f"{operator.url}/admin/people/?q={email}")
    own.locator("main table").get_by_role("link", name=email).click()
    assert violations(own) == []
    form = own.locator("form", has=own.locator("input[name=act][value=impersonate]"))
    form.get_by_label("Reason").fill("sees an empty page")
    form.get_by_role("button", name="Act in this person's name").click()
    band = own.get_by_role("region", name="Impersonation")
    expect(band).to_contain_text(f"You act in the name of {email}")
    own.goto(person.home)
    expect(band).to_be_visible()
    for scheme, width in (("light", 1440), ("dark", 390)):
        own.emulate_media(color_scheme=scheme)
        own.set_viewport_size({"width": width, "height": 900})
        assert violations(own) == []
    own.goto(f"{operator.url}/accounts/password/change/")
    expect(own.get_by_role("heading", name="You may not do this")).to_be_visible()
    page.goto(f"{operator.url}/account/security/")
    expect(page.get_by_text("An operator acts in your name").first).to_be_visible()
    own.goto(person.home)
    band.get_by_role("button", name="End it").click()
    expect(own.get_by_text("You are yourself again.")).to_be_visible()
    own.goto(person.home)
    expect(own).to_have_title(re.compile("There is nothing", re.IGNORECASE))

    own.goto(f"{operator.url}/admin/")
    own.get_by_role("button", name="Close the console").click()
    expect(own.get_by_text("The console is closed. You are still signed in to the site.")).to_be_visible()
    own.goto(f"{operator.url}/admin/")
    expect(own.get_by_role("heading", name="Operators' console")).to_be_visible()
