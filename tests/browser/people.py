"""Somebody who uses the site by its pages, reads the own mail, and has an authenticator of another make."""

from __future__ import annotations

import base64
import re
import time
import uuid
from contextlib import AbstractContextManager
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.sync_api import Locator, Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.inbox import Inbox

PASSWORD = "a long enough secret 7"


class Somebody:
    """A person in front of a browser of their own."""

    def __init__(self, page: Page, site: str, inbox: Inbox, name: str) -> None:
        self.page, self.site, self.inbox, self.name = page, site, inbox, name
        self.email = f"{name.lower()}-{uuid.uuid4().hex[:8]}@example.org"
        self.secret = b""

    @property
    def main(self) -> Locator:
        """The page without its header, which has links to sign in and up as well."""
        return self.page.get_by_role("main")

    def go(self, path: str) -> None:
        self.page.goto(f"{self.site}{path.lstrip('/')}")

    def sign_up(self) -> None:
        """Fill the form of the page that is open."""
        self.main.get_by_label("Name").fill(self.name)
        self.main.get_by_label("Email").fill(self.email)
        self.main.get_by_label("Password", exact=True).fill(PASSWORD)
        self.main.get_by_label("Password (again)").fill(PASSWORD)
        self.main.get_by_role("button", name="Create the account").click()

    def sign_in(self) -> None:
        """Give address and password."""
        self.go("accounts/login/")
        self.main.get_by_label("Email").fill(self.email)
        self.main.get_by_label("Password", exact=True).fill(PASSWORD)
        self.main.get_by_role("button", name="Sign in", exact=True).click()

    def mailed(self, subject: str, path: str) -> str:
        """The link to a part of the site in the newest mail about something; the text and the HTML have the same."""
        message = self.inbox.newest(self.email, subject)
        bodies = [message.get_body((kind,)) for kind in ("plain", "html")]
        found = [re.findall(rf"{re.escape(self.site)}{path}[^\s\"<]*", body.get_content()) for body in bodies if body]
        assert len(found) == 2
        (link,) = {link for links in found for link in links}
        return str(link)

    def menu(self) -> Locator:
        """What is under the own name in the header."""
        if not self.page.locator(".account-menu[open]").count():
            self.page.locator(".account-menu > summary").click()
        return self.page.locator(".account-menu .menu")

    def confirm_address(self) -> None:
        self.page.goto(self.mailed("onfirm", "accounts/confirm-email/"))
        self.main.get_by_role("button", name="Yes, confirm it").click()

    def enrol(self) -> str:
        """Set two-step sign-in up, from the menu on; the code that was used for it."""
        self.menu().get_by_role("link", name="Account", exact=True).click()
        self.page.get_by_role("navigation", name="Account").get_by_role("link", name="Security").click()
        self.main.get_by_role("region", name="Two-step sign-in").get_by_role("link", name="Set it up").click()
        self.main.get_by_role("button", name="Set it up").click()
        written = self.main.get_by_label("Or type this secret into it").input_value().replace(" ", "")
        self.secret = base64.b32decode(written + "=" * (-len(written) % 8))
        code = self.code()
        self.main.get_by_label("Code", exact=True).fill(code)
        self.main.get_by_role("button", name="Switch it on").click()
        return code

    def code(self, steps: int = 0) -> str:
        """What the authenticator shows so many steps from now."""
        app = TOTP(self.secret, 6, SHA1(), 30, enforce_key_length=False)  # noqa: S303 as RFC 6238 has it
        return app.generate(int(time.time()) + 30 * steps).decode()

    def give_code(self, code: str) -> None:
        self.main.get_by_label("Code", exact=True).fill(code)
        self.main.get_by_role("button", name="Sign in", exact=True).click()

    def sign_out(self) -> None:
        self.menu().get_by_role("button", name="Sign out").click()

    def socket(self, path: str) -> AbstractContextManager[ClientConnection]:
        """A socket with this browser's login, held by another library than the browser."""
        cookies = "; ".join(f"{one['name']}={one['value']}" for one in self.page.context.cookies())
        address = f"{self.site.replace('http', 'ws', 1)}{path.lstrip('/')}"
        origin: Any = self.site.rstrip("/")
        return connect(address, additional_headers={"Cookie": cookies}, origin=origin, proxy=None)

    def told(self, words: str | re.Pattern[str]) -> None:
        """A notice in the corner says this."""
        expect(self.page.locator("#toasts")).to_contain_text(words)


def closed_with(socket: ClientConnection) -> int:
    """The code with which the server closes a socket, whatever it says before."""
    while True:
        try:
            socket.recv(timeout=20)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 0
