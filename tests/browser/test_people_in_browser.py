"""People sign up, are let in by a code, work together with the right rights, and leave a trail; and their pages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.conf import settings
from people import Somebody, closed_with
from playwright.sync_api import Browser, Page, expect

from tests.inbox import Inbox, smtp_server
from tests.running_stack import RunningStack, started_stack

pytestmark = pytest.mark.browser

SECOND = 1000
PATIENCE = 60 * SECOND  # of a machine that does other things as well
ARRAY = {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16}}], "edges": []}


@pytest.fixture(scope="module")
def inbox_and_port() -> Iterator[tuple[Inbox, int]]:
    with smtp_server() as opened:
        yield opened


@pytest.fixture(scope="module")
def inbox(inbox_and_port: tuple[Inbox, int]) -> Inbox:
    return inbox_and_port[0]


@pytest.fixture(scope="module")
def product(inbox_and_port: tuple[Inbox, int]) -> Iterator[RunningStack]:
    """The whole stack, where addresses must be confirmed and mails are sent."""
    data_dir = settings.TESTBED.data_dir / "stack-people"
    shutil.rmtree(data_dir, ignore_errors=True)
    mailing = {
        "ATTRACTOR__EMAIL__BACKEND": "smtp", "ATTRACTOR__EMAIL__HOST": "127.0.0.1",
        "ATTRACTOR__EMAIL__PORT": str(inbox_and_port[1]), "ATTRACTOR__EMAIL__STARTTLS": "false",
        "ATTRACTOR__ACCOUNTS__EMAIL_VERIFICATION": "mandatory", "ATTRACTOR__WORKER__PROCESSES": "1",
    }  # fmt: skip
    with started_stack(data_dir, covered=False, **mailing) as running:
        expect.set_options(timeout=PATIENCE)
        yield running
        expect.set_options(timeout=5 * SECOND)


@pytest.fixture
def meet(chromium: Browser, product: RunningStack, inbox: Inbox) -> Iterator[Callable[..., Somebody]]:
    """Makes people, each with a browser of their own; the test fails when a script of ours does."""
    faults: list[str] = []
    contexts = []

    def make(name: str, **more: Any) -> Somebody:
        context = chromium.new_context(viewport={"width": 1440, "height": 900}, **more)
        context.set_default_timeout(PATIENCE)
        context.on("weberror", lambda error: faults.append(str(error.error)))
        contexts.append(context)
        return Somebody(context.new_page(), product.url, inbox, name)

    yield make
    for context in contexts:
        context.close()
    assert faults == []


def arrive(who: Somebody) -> None:
    """Sign up, confirm the address, and sign in."""
    who.go("accounts/signup/")
    who.sign_up()
    expect(who.main.get_by_role("heading", name="Confirm your address")).to_be_visible()
    who.confirm_address()
    who.sign_in()
    expect(who.page).to_have_url(re.compile(r"/w/[\w-]+/$"))


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_from_sign_up_to_the_audit_log(meet: Callable[..., Somebody], scripts: bool) -> None:
    ada, bob = meet("Ada", java_script_enabled=scripts), meet("Bob")

    # Sign-up, and nobody is let in before the address is confirmed.
    ada.go("accounts/signup/")
    ada.sign_up()
    expect(ada.main.get_by_role("heading", name="Confirm your address")).to_be_visible()
    ada.sign_in()
    expect(ada.main.get_by_role("heading", name="Confirm your address")).to_be_visible()
    ada.confirm_address()
    ada.sign_in()
    expect(ada.page).to_have_url(re.compile(r"/w/[\w-]+/$"))
    own = ada.page.url.rstrip("/").rpartition("/")[2]

    # Two-step sign-in, with the code of an authenticator of another make.
    used = ada.enrol()
    codes = ada.main.get_by_role("list", name="Recovery codes").get_by_role("listitem")
    expect(codes).to_have_count(10)
    ada.main.get_by_role("link", name="I have kept them").click()
    ada.inbox.newest(ada.email, "Two-step sign-in is on")

    # Out, and in again with a code; the one that was used opens nothing, and neither does the password alone.
    ada.sign_out()
    ada.sign_in()
    expect(ada.main.get_by_role("heading", name="Enter your code")).to_be_visible()
    assert ada.page.request.get(f"{ada.site}api/v1/me/").status in (401, 403)
    ada.give_code(used)
    expect(ada.main.get_by_label("Code", exact=True)).to_have_attribute("aria-invalid", "true")
    ada.give_code(ada.code(1))
    expect(ada.page).to_have_url(f"{ada.site}w/{own}/")
    assert ada.page.request.get(f"{ada.site}api/v1/me/").json()["email"] == ada.email

    # A workspace, and somebody invited to it.
    ada.menu().get_by_role("link", name="New workspace").click()
    ada.main.get_by_label("Name").fill("Chaos lab")
    ada.main.get_by_role("button", name="Make the workspace").click()
    expect(ada.page).to_have_url(re.compile(r"/w/chaos-lab-\w+/members/$"))
    slug = ada.page.url.split("/")[-3]
    ada.main.get_by_label("E-mail address").fill(bob.email)
    ada.main.get_by_label("Role", exact=True).select_option("editor")
    ada.main.get_by_role("button", name="Send the invitation").click()
    ada.told(f"{bob.email} is invited")

    # The second browser: the link of the mail, a new account, and in.
    bob.page.goto(bob.mailed("invites you", "invitations/"))
    expect(bob.main.get_by_role("heading", name="Invitation to Chaos lab")).to_be_visible()
    bob.main.get_by_role("link", name="Sign up").click()
    bob.sign_up()
    bob.main.get_by_role("button", name="Accept the invitation").click()
    bob.told("You belong to Chaos lab now")
    expect(bob.page).to_have_url(f"{bob.site}w/{slug}/")

    # Ada runs something long; Bob, an editor, holds it.
    run = new_run(ada, slug, 1_000_000)
    bob.go(run)
    expect(bob.page.locator(".run-page")).to_have_attribute("data-run-state", "running")
    expect(bob.page.locator("[data-link]")).to_have_attribute("data-link", "linked")
    bob.main.get_by_role("button", name="Pause", exact=True).click()
    expect(bob.page.locator("[data-state]")).to_have_text("Paused")

    # Editor no more: the open socket ends, and the open page, without being loaded again, has nothing to press.
    api, watched = f"api/v1/workspaces/{slug}/", run.replace("w/", "workspaces/", 1)
    with bob.socket(f"ws/v1/{watched}") as socket:
        change_role(ada, slug, "Bob", "viewer")
        assert closed_with(socket) == 4409
    expect(bob.main.get_by_role("button", name="Play", exact=True)).to_be_disabled()
    expect(bob.main.get_by_role("button", name="Cancel the run")).to_be_disabled()
    expect(bob.page.locator("[data-link]")).to_have_attribute("data-link", "linked")
    expect(bob.page.locator("[data-state]")).to_have_text("Paused")
    pressed = bob.page.request.post(f"{bob.site}api/v1/{watched}resume/", data={}, headers=own_headers(bob.page))
    assert pressed.status == 403

    # Removed: socket and page end, and for Bob there is no such workspace.
    with bob.socket(f"ws/v1/{watched}") as socket:
        ada.go(f"w/{slug}/members/")
        ada.main.get_by_role("link", name="Change Bob").click()
        ada.main.get_by_text("Remove Bob from the workspace").click()
        ada.main.get_by_role("button", name="Remove", exact=True).click()
        ada.told("The member is removed")
        assert closed_with(socket) == 4404
    expect(bob.page.locator("[data-link]")).to_have_attribute("data-link", "refused")
    assert bob.page.request.get(f"{bob.site}{api}").status == 404
    bob.go(f"w/{slug}/")
    expect(bob.main.get_by_role("heading", name="There is nothing here")).to_be_visible()

    # A key, and a program that brings it, and nothing else.
    ada.go(f"w/{slug}/keys/")
    ada.main.get_by_label("What it is for", exact=True).fill("Notebook")
    ada.main.get_by_role("button", name="Make the key").click()
    secret = ada.main.get_by_label("API key", exact=True).input_value()
    with httpx.Client(base_url=ada.site, headers={"Authorization": f"Bearer {secret}"}, trust_env=False) as program:
        assert program.get(f"{api}runs/").json()["results"][0]["state"] == "running"
        made = program.post(f"{api}projects/", json={"name": "From a program"})
        assert made.status_code == 201, made.text
        assert program.get(f"api/v1/workspaces/{own}/runs/").status_code == 404
        program.headers["Authorization"] += "x"
        assert program.get(f"{api}runs/").status_code in (401, 403)
    ada.go(f"w/{slug}/keys/")
    expect(ada.main.get_by_text(re.compile(r"^used just now"))).to_be_visible()
    assert secret not in ada.page.content()

    # The log has all of it: who, what, in this order, and whether by a key.
    ada.main.get_by_role("link", name="Audit log").click()
    rows = [
        (row.locator("td").nth(1).inner_text().replace("\n", " "), row.locator("code").first.inner_text())
        for row in ada.main.locator("table.audit tbody tr").all()
    ]
    by_ada, by_bob = ada.email, bob.email
    assert [row for row in reversed(rows) if row[1] not in ("run.claim", "graph.version")] == [
        (by_ada, "workspace.create"),
        (by_ada, "invitation.create"),
        (by_bob, "invitation.accept"),
        (by_ada, "project.create"),
        (by_ada, "graph.create"),
        (by_ada, "run.submit"),
        (by_bob, "run.pause"),
        (by_ada, "member.change"),
        (by_ada, "member.remove"),
        (by_ada, "key.create"),
        (f"{by_ada} by a key", "project.create"),
    ]
    assert secret not in ada.page.content()
    ended = ada.page.request.post(f"{ada.site}api/v1/{watched}cancel/", data={}, headers=own_headers(ada.page))
    assert ended.ok


def own_headers(page: Page) -> dict[str, str]:
    """The headers by which a request of a page is told from a forged one."""
    csrf = page.locator("[name=csrfmiddlewaretoken]").first.get_attribute("value")
    return {"X-CSRFToken": str(csrf), "Referer": page.url}


def new_run(who: Somebody, slug: str, ticks: int) -> str:
    """The path of a run of so many ticks."""
    api = f"{who.site}api/v1/workspaces/{slug}/"

    def post(path: str, body: dict[str, Any]) -> Any:
        answer = who.page.request.post(f"{api}{path}", data=body, headers=own_headers(who.page))
        assert answer.ok, answer.text()
        return answer.json()

    project = post("projects/", {"name": "Arrays"})["id"]
    graph = post("graphs/", {"project": project, "name": "array", "spec": ARRAY})["id"]
    run = post("runs/", {"graph": graph, "seed": 7, "ticks": ticks, "record": []})["id"]
    return f"w/{slug}/runs/{run}/"


def change_role(who: Somebody, slug: str, name: str, role: str) -> None:
    who.go(f"w/{slug}/members/")
    who.main.get_by_role("link", name=f"Change {name}").click()
    who.main.get_by_label("Role in the workspace").select_option(role)
    who.main.get_by_role("button", name="Change the role").click()
    who.told("The role is changed")


VARIANTS = [(scheme, width) for scheme in ("light", "dark") for width in (1440, 390)]
OPEN_ALL = "() => document.querySelectorAll('main details').forEach((one) => { one.open = true })"
# Where the focus is: the number of the element, whether it has a ring, and whether the header lies over it.
FOCUS = """() => {
  const held = document.activeElement;
  if (!held || held === document.body) return null;
  const style = getComputedStyle(held), box = held.getBoundingClientRect();
  const header = document.querySelector('.site-header');
  return {
    number: [...document.querySelectorAll('*')].indexOf(held),
    ring: (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== 'none',
    hidden: !header.contains(held) && held.className !== 'skip-link'
      && box.bottom <= header.getBoundingClientRect().bottom,
    words: held.outerHTML.slice(0, 90),
  };
}"""
REACHABLE = """() => [...document.querySelectorAll('*')].flatMap((one, number) =>
  one.matches('a[href], button:enabled, input:enabled:not([type=hidden]), select:enabled, textarea:enabled, summary')
  && one.checkVisibility({visibilityProperty: true}) ? [number] : [])"""


class Inspection:
    """Looks at pages, light and dark, wide and narrow, and keeps what is wrong."""

    def __init__(self, page: Page, violations: Callable[[Page], list[Any]]) -> None:
        self.page, self.violations = page, violations
        self.faults: list[Any] = []
        self.seen: list[str] = []

    def look(self, name: str) -> None:
        """The page as it is."""
        self.page.evaluate(OPEN_ALL)
        for scheme, width in VARIANTS:
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            self.page.set_viewport_size({"width": width, "height": 844})
            found = self.violations(self.page)
            if found:
                # A switch of the scheme reaches inherited colours some frames later; what is wrong then too is a fault.
                self.page.wait_for_timeout(700)
                found = self.violations(self.page)
            self.faults += [(name, scheme, width, *one[1:]) for one in found]
            if self.page.evaluate("document.documentElement.scrollWidth") > width:
                self.faults.append((name, width, "scrolls sideways"))
        self.seen.append(name)

    def tab_through(self, name: str) -> None:
        """By the keyboard alone everything is reached, and one sees where one is."""
        self.page.set_viewport_size({"width": 1440, "height": 844})
        self.page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0) }")
        wanted, reached = set(self.page.evaluate(REACHABLE)), set()
        for _ in range(len(wanted) + 40):
            self.page.keyboard.press("Tab")
            found = self.page.evaluate(FOCUS)
            if found is None or found["number"] in reached:
                continue
            reached.add(found["number"])
            if not found["ring"] or found["hidden"]:
                self.faults.append((name, "focus", found["words"]))
        if wanted - reached:
            missed = [self.page.evaluate("(n) => document.querySelectorAll('*')[n].outerHTML.slice(0, 90)", one)
                      for one in wanted - reached]  # fmt: skip
            self.faults.append((name, "not reached", missed))

    def visit(self, path: str, keys: bool = False) -> None:
        answer = self.page.goto(path)
        assert answer is not None
        assert answer.status < 500, path
        self.look(path)
        if keys:
            self.tab_through(path)


def told(faults: list[Any]) -> str:
    """One fault a line, the same of several variants once."""
    return "\n".join(dict.fromkeys(str((one[0], *one[3:]) if len(one) > 3 else one)[:600] for one in faults))


def test_pages_of_nobody_in_particular(meet: Callable[..., Somebody], violations: Callable[[Page], list[Any]]) -> None:
    ada = meet("Ada")
    look = Inspection(ada.page, violations)
    site = ada.site
    for path in ("accounts/login/", "accounts/signup/", "accounts/password/reset/"):
        look.visit(f"{site}{path}", keys=True)
    for path in ("accounts/confirm-email/x:y/", "accounts/password/reset/key/1-x/", "accounts/inactive/",
                 "accounts/3rdparty/login/cancelled/", "accounts/3rdparty/login/error/", "invitations/inv_none/",
                 "s/none/"):  # fmt: skip
        look.visit(f"{site}{path}")

    ada.go("accounts/signup/")
    ada.main.get_by_label("Email").fill("ada@example.org")
    ada.main.get_by_label("Password", exact=True).fill("12345678")
    ada.main.get_by_label("Password (again)").fill("87654321")
    ada.main.get_by_role("button", name="Create the account").click()
    expect(ada.main.locator(".error").first).to_be_visible()
    look.look("sign-up with errors")
    ada.go("accounts/signup/")
    ada.sign_up()
    look.look("mail was sent")
    ada.page.goto(ada.mailed("onfirm", "accounts/confirm-email/"))
    look.look("confirm the address")
    ada.main.get_by_role("button", name="Yes, confirm it").click()
    look.look("address confirmed")
    ada.go("accounts/login/")
    ada.main.get_by_label("Email").fill(ada.email)
    ada.main.get_by_label("Password", exact=True).fill("not the password")
    ada.main.get_by_role("button", name="Sign in", exact=True).click()
    expect(ada.main.get_by_role("alert")).to_be_visible()
    look.look("wrong password")
    ada.go("accounts/password/reset/")
    ada.main.get_by_label("Email").fill(ada.email)
    ada.main.get_by_role("button", name="Send the link").click()
    look.look("reset was mailed")
    link = ada.mailed("assword", "accounts/password/reset/key/")
    ada.page.goto(link)
    look.look("choose a new password")
    ada.main.get_by_label("New Password", exact=True).fill("another long secret 8")
    ada.main.get_by_label("New Password (again)").fill("another long secret 8")
    ada.main.get_by_role("button", name="Set the password").click()
    expect(ada.main.get_by_role("heading", name="Password set")).to_be_visible()
    look.look("password set")
    ada.page.goto(link)
    expect(ada.main.get_by_role("heading", name="This link no longer works")).to_be_visible()
    look.look("used link")
    assert not look.faults, told(look.faults)


def test_pages_of_an_account_and_of_a_workspace(
    meet: Callable[..., Somebody], violations: Callable[[Page], list[Any]]
) -> None:
    ada = meet("Ada")
    arrive(ada)
    look = Inspection(ada.page, violations)
    site = ada.site
    # A new account, where there is nothing yet.
    for tab in ("", "projects/", "runs/", "members/", "usage/", "keys/", "shares/", "webhooks/", "audit/", "settings/"):
        look.visit(f"{ada.page.url.split('/w/')[0]}/w/{slug_of(ada)}/{tab}")
    ada.go("account/two-step/")
    look.look("before enrolment")
    ada.go("")
    ada.enrol()
    look.look("recovery codes")
    ada.main.get_by_role("link", name="I have kept them").click()
    for path in ("account/", "account/security/", "account/sessions/", "accounts/email/", "accounts/password/change/",
                 "accounts/3rdparty/", "account/delete/", "accounts/logout/", "workspaces/new/"):  # fmt: skip
        look.visit(f"{site}{path}", keys=path != "accounts/logout/")

    ada.go("workspaces/new/")
    ada.main.get_by_label("Name").fill("Laboratory of coupled oscillators " + "W" * 120)
    ada.main.get_by_role("button", name="Make the workspace").click()
    home = f"{site}w/{slug_of(ada)}/"
    for email in ("someone.with.a.very.long.address.indeed@department.of.physics.example.org", "b@example.org"):
        ada.main.get_by_label("E-mail address").fill(email)
        ada.main.get_by_role("button", name="Send the invitation", exact=True).click()
        ada.told(f"{email} is invited")
    ada.main.get_by_label("E-mail address").fill("b@example.org")
    ada.main.get_by_role("button", name="Send the invitation", exact=True).click()
    expect(ada.main.get_by_label("E-mail address")).to_have_attribute("aria-invalid", "true")
    look.look("invited twice")
    run = new_run(ada, slug_of(ada), 200)
    ada.go(f"w/{slug_of(ada)}/keys/")
    ada.main.get_by_label("What it is for", exact=True).fill("Notebook")
    ada.main.get_by_role("button", name="Make the key").click()
    look.look("new key")
    ada.page.goto(f"{site}{run}")
    ada.main.get_by_text("Share this run").click()
    ada.main.get_by_label("For", exact=True).select_option("signed_in")
    ada.main.get_by_role("button", name="Make a link").click()
    look.look("new link")
    shared = ada.main.get_by_label("Link", exact=True).input_value()
    ada.page.goto(home + "members/")
    ada.main.get_by_role("link", name="Change Ada").click()
    look.look("own membership")
    for tab in ("", "members/", "members/leave/", "usage/", "keys/", "shares/", "webhooks/", "audit/",
                "audit/?after=yesterday", "settings/", "settings/delete/", "security/"):  # fmt: skip
        look.visit(home + tab, keys="?" not in tab)
    ada.menu()
    look.tab_through("the open menu")
    look.look("the open menu")

    # The end of it, which can be taken back.
    ada.page.goto(home + "settings/delete/")
    name = ada.main.locator("label strong").inner_text()
    ada.main.locator("#id_name").fill("another")
    ada.main.get_by_role("button", name="Delete the workspace").click()
    look.look("deletion not confirmed")
    ada.main.locator("#id_name").fill(name)
    ada.main.get_by_role("button", name="Delete the workspace").click()
    expect(ada.main.get_by_role("button", name="Restore it")).to_be_visible()
    look.look("in grace")
    for tab in ("", "members/", "keys/", "shares/", "audit/"):
        look.visit(home + tab)
    ada.page.goto(home + "settings/")
    ada.main.get_by_role("button", name="Restore it").click()
    ada.told("The workspace is as it was")

    # What others see: whoever has a link, and who is half signed in.
    outsider = meet("Nobody")
    seen = Inspection(outsider.page, violations)
    outsider.page.goto(shared)
    expect(outsider.page).to_have_url(re.compile("/accounts/login/"))  # it was shared with people who are signed in
    message = ada.inbox.newest("b@example.org", "invites you")
    text = message.get_body(("plain",))
    assert text is not None
    (invited,) = re.findall(r"http\S+/invitations/\S+", text.get_content())
    seen.visit(invited, keys=True)
    ada.page.goto(shared)
    look.look("what is shared")
    ada.page.goto(invited)
    look.look("an invitation for somebody else")
    ada.sign_out()
    ada.sign_in()
    look.look("code is asked for")
    look.tab_through("code is asked for")
    ada.give_code("000000")
    look.look("wrong code")
    assert not look.faults + seen.faults, told(look.faults + seen.faults)


def test_mails_are_readable_light_and_dark_on_every_screen(
    meet: Callable[..., Somebody], inbox: Inbox, violations: Callable[[Page], list[Any]]
) -> None:
    ada = meet("Ada")
    ada.go("accounts/signup/")
    ada.sign_up()
    ada.inbox.newest(ada.email, "onfirm")
    look = Inspection(meet("Reader").page, violations)
    shown = {message["Subject"]: message for message in inbox.messages}
    for subject, message in shown.items():
        html = message.get_body(("html",))
        assert html is not None
        look.page.set_content(html.get_content())
        look.look(subject)
    assert look.seen
    assert not look.faults, told(look.faults)


def slug_of(who: Somebody) -> str:
    """The workspace of the page that is open."""
    return who.page.url.partition("/w/")[2].partition("/")[0]
