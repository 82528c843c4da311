"""A person with a passkey in a real Chromium, whose authenticator is the browser's own virtual one (DevTools)."""

import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.running_stack import RunningStack

pytestmark = pytest.mark.browser

PASSWORD = "a long enough secret 7"


def authenticator(page: Page, **more: Any) -> tuple[CDPSession, str]:
    """A virtual authenticator in front of the page, which verifies its person."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable", {"enableUI": False})
    options = {
        "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": True,
        "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True, **more,
    }  # fmt: skip
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session, str(made["authenticatorId"])


def sign_in(page: Page, site: str, email: str) -> None:
    page.goto(f"{site}/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="The second step")).to_be_visible()


def test_a_passkey_from_its_making_to_its_end(stack: RunningStack, page: Page, violations: Any) -> None:
    email = f"{uuid.uuid4().hex[:12]}@example.org"
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    page.goto(f"{stack.url}accounts/signup/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.get_by_role("button", name="Create the account").click()
    expect(page).to_have_url(re.compile(r"/w/[\w-]+/$"))

    # A number of the network is no name: the page says where passkeys work.
    page.goto(f"{stack.url}account/passkeys/new/")
    site = stack.url.replace("127.0.0.1", "localhost").rstrip("/")
    expect(page.get_by_text("127.0.0.1 is a number of the network")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name=site).click()
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign in").click()

    # It is made, with the keyboard.
    expect(page.get_by_role("heading", name="Add a passkey")).to_be_visible()
    session, device = authenticator(page)
    assert violations(page) == []
    page.get_by_label("Name").fill("My computer")
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert page.locator(".recovery-codes li").count() == 10
    (held,) = session.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]
    assert held["rpId"] == "localhost"

    # The same authenticator makes no second one.
    page.goto(f"{site}/account/passkeys/new/")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("has a passkey of your account already")
    expect(page.get_by_role("button", name="Make the passkey")).to_be_focused()

    # Out and in again; first with a finger that is not known.
    page.locator(".account-menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, site, email)
    assert violations(page) == []
    session.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("cancelled")
    session.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": True})
    page.get_by_role("button", name="Use a passkey").press("Enter")
    expect(page).to_have_url(re.compile(r"/w/[\w-]+/$"))
    (held,) = session.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]
    assert held["signCount"] > 1

    # Once more, please: the page asks for it whenever it is opened.
    page.goto(f"{site}/account/prove/?next=/account/passkeys/new/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(f"{site}/account/passkeys/new/")

    # A second one, of a key; then the first is removed.
    session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": device})
    session.send("WebAuthn.addVirtualAuthenticator", {"options": {
        "protocol": "ctap2", "transport": "usb", "hasResidentKey": False, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }})  # fmt: skip
    page.get_by_label("Name").fill("Blue key")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page).to_have_url(f"{site}/account/security/")
    assert violations(page) == []
    page.get_by_role("button", name="Remove the passkey My computer").click()
    expect(page.get_by_text("The passkey “My computer” was removed.")).to_be_visible()
    expect(page.get_by_role("button", name="Remove the passkey Blue key")).to_have_count(0)
    page.get_by_text("Switch it off …").click()
    page.get_by_role("button", name="Switch it off", exact=True).click()
    expect(page.get_by_role("link", name="Use a passkey")).to_be_visible()
    expect.set_options(timeout=5_000)
