"""Method × address × role × own or foreign workspace, all of them.

The addresses come from the URL configuration, what is expected from `truth` and docs/workspaces.md. A workspace that
one does not belong to is answered like one that does not exist, to the byte; so is a foreign thing in the own
workspace. And what is refused changes no row of any table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from actors import LOGIN, Actor, invented, is_page, keys, members, nobodies, of_use, reached, words
from addresses import API, FOREIGN_CODE, OF_PERSON, OPEN, OPEN_API, PAGES, Place, Row, addresses, fill, send
from django.utils import timezone
from out_of_scope import out_of_scope
from row_changes import Rows, attempts, taken_back
from test_half_signed_in import address_of
from test_half_signed_in import routes as all_routes
from truth import HAS, KEY, ROLES, TRUTH, WHILE_CLOSING, WHILE_SUSPENDED

from apps.accounts.models import Session, User
from apps.workspaces import deletion
from apps.workspaces.models import Role, Workspace
from apps.workspaces.permissions import ALLOWED, BY_KEY, Verb
from apps.workspaces.scope import scope

OWNED = {**API, **PAGES}
METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
NAMES = sorted({name for name, _ in TRUTH})
ROLE_NAMES = {
    "owner": Role.OWNER, "administrator": Role.ADMIN, "editor": Role.EDITOR, "viewer": Role.VIEWER, "machine": Role.API,
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Ann's workspace and Bob's, and everybody."""

    place: Place
    rows: Rows
    standing: list[Any]
    own: list[Actor]
    nobody: list[Actor]
    foreign: list[Actor]
    unscoped: list[str]

    def nobodies(self, page: bool) -> list[Actor]:
        return [actor for actor in self.nobody if actor.pages or not page]

    def changed(self, before: int) -> bool:
        """Whether a row is not as it was when the stage was set; `before`: the attempts until then."""
        return attempts() != before and self.rows.digest() != self.standing


@pytest.fixture(scope="module")
def stage(standing_place: Place) -> Iterator[Stage]:
    place, bob = standing_place, standing_place.stranger
    own, nobody = members(place.tenant) + keys(place.tenant), nobodies(place.tenant, place)
    others = keys(bob)
    foreign = [*members(bob, "foreign "), others[0], others[2], others[-1]]
    for actor in (*own, *foreign):
        # What is noted of the first visit is noted now.
        actor.comes().get("/api/v1/me/")
    rows = Rows([place.tenant.workspace.pk, bob.workspace.pk])
    with out_of_scope() as unscoped:
        yield Stage(place, rows, rows.digest(), own, nobody, foreign, unscoped)


@pytest.fixture(autouse=True)
def nothing_out_of_scope(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test here has the site ask for rows of a workspace outside of a scope."""
    yield
    if "stage" in request.fixturenames:
        found = request.getfixturevalue("stage").unscoped
        asked, found[:] = list(found), []
        assert not asked


def test_every_address_has_a_row_of_truth() -> None:
    assert set(TRUTH) == set(OWNED)
    assert set(WHILE_CLOSING) | set(WHILE_SUSPENDED) <= set(TRUTH)
    listed = {name for name, _ in (*TRUTH, *OPEN_API)} | OPEN | OF_PERSON
    assert {name for _, name, _ in addresses()} == listed
    ours = {route for route, _, _ in addresses()}
    assert all(route in ours or route.startswith(FOREIGN_CODE) for route in all_routes())
    assert {one.needs for one in TRUTH.values()} - {"person"} <= HAS["owner"]


def test_the_documentation_says_what_roles_may() -> None:
    for name in ROLES:
        assert HAS[name] == {verb.value for verb in ALLOWED[ROLE_NAMES[name]]}, name
    assert HAS[KEY] == {verb.value for verb in BY_KEY}
    assert HAS["owner"] == {verb.value for verb in Verb}
    assert set(ROLE_NAMES.values()) == set(Role)


def test_everybody_comes(stage: Stage) -> None:
    assert {actor.role for actor in stage.own} == set(ROLES)
    assert {actor.role for actor in stage.own if actor.by_key} == set(ROLES)
    alone = {
        next(iter(actor.verbs - {"workspace.read"})) for actor in stage.own if actor.verbs and len(actor.verbs) == 2
    }
    assert alone == HAS[KEY] - {"workspace.read"}
    assert {actor.role for actor in stage.foreign} >= {"owner", "administrator", "editor", "viewer", "machine"}


@pytest.mark.parametrize(("name", "method"), sorted(TRUTH))
def test_the_own_workspace(stage: Stage, name: str, method: str) -> None:
    """As whoever belongs to it, by session and by key, and as those whose request is nobody's."""
    place, row, page = stage.place, OWNED[name, method], is_page(name, method)
    wrong = []
    for actor in (*of_use(stage.own, TRUTH[name, method].needs), *stage.nobodies(page)):
        expected, writes = actor.answer(TRUTH[name, method], row, page)
        with taken_back():
            before = attempts()
            response = actor.ask(place, name, method, row)
            changed = stage.changed(before)
        if (response.status_code, changed) != (expected, writes):
            wrong.append(f"{actor.name}: {response.status_code} {changed}, not {expected} {writes}: {_text(response)}")
        wrong += [f"{actor.name}: {fault}" for fault in _faults(response, place, page, expected)]
    assert not wrong, "\n".join(wrong)


def _faults(response: Any, place: Place, page: bool, expected: int) -> Iterator[str]:
    """What is wrong with a refusal beside its status."""
    if page and expected == 302 and response.url != "/" and not response.url.startswith(("/w/", LOGIN)):
        yield f"leads to {response.url}"
    if not page and expected >= 400 and response.headers["Content-Type"] != "application/problem+json":
        yield f"is {response.headers['Content-Type']}"
    if expected == 401 and "WWW-Authenticate" not in response.headers:
        yield "names no challenge"
    if expected in (401, 404) and place.tenant.workspace.name in _text(response):
        yield "tells the workspace's name"


@pytest.mark.parametrize(("name", "method"), sorted(TRUTH))
def test_a_foreign_workspace_is_as_one_that_does_not_exist(stage: Stage, name: str, method: str) -> None:
    row, page = OWNED[name, method], is_page(name, method)
    there, nowhere = stage.place, invented(stage.place)
    wrong = []
    for actor in (*stage.foreign, *stage.nobodies(page)[:5]):
        answers = _both(stage, actor, name, method, row, there, nowhere)
        expected = 404 if actor.role and not (page and actor.by_key) else 302 if page else 401
        wrong += [f"{actor.name}: {fault}" for fault in _unlike(answers, {expected})]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("name", "method"), sorted(TRUTH))
def test_a_foreign_thing_is_as_one_that_does_not_exist(stage: Stage, name: str, method: str) -> None:
    """In the own workspace, whatever path, query and body name."""
    row, page, bob = OWNED[name, method], is_page(name, method), stage.place.stranger
    there, nowhere = reached(stage.place, bob.workspace), invented(stage.place, bob.workspace)
    if _asks(there, name, row) == _asks(nowhere, name, row):
        pytest.skip("it names nothing but the workspace")
    wrong = []
    for actor in stage.foreign:
        if page and actor.by_key:
            continue
        answers = _both(stage, actor, name, method, row, there, nowhere)
        may = actor.answer(TRUTH[name, method], row, page)[0] != 403
        wrong += [f"{actor.name}: {fault}" for fault in _unlike(answers, {404} if may else {403, 404})]
    assert not wrong, "\n".join(wrong)


def _asks(place: Place, name: str, row: Row) -> str:
    return str([fill(name, {**place.ids, **row.ids(place)}), row.body(place), row.query(place)])


def _both(stage: Stage, actor: Actor, name: str, method: str, row: Row, *places: Place) -> list[tuple[Any, ...]]:
    """Of each place the status, the answer without what names things, and whether a row was changed."""
    naming = words(*places)
    found = []
    for place in places:
        with taken_back():
            before = attempts()
            response = actor.ask(place, name, method, row)
            found.append((response.status_code, _told(response, naming), stage.changed(before)))
    return found


def _unlike(answers: list[tuple[Any, ...]], expected: set[int]) -> Iterator[str]:
    (status, there, changed), (_, nowhere, _) = answers
    if status not in expected:
        yield f"{status}, not {expected}: {there}"
    if there != nowhere:
        yield f"is told apart: {there} and {nowhere}"
    if changed:
        yield "has changed a row"


CHANGING = ("x-request-id", "ratelimit", "date", "server-timing")


def _told(response: Any, naming: dict[str, str]) -> tuple[Any, ...]:
    headers = {key.lower(): value for key, value in response.headers.items() if not key.lower().startswith(CHANGING)}
    text = json.dumps([headers, _text(response), sorted(response.cookies)])
    for one, word in naming.items():
        text = text.replace(one, word)
    # Drawn for each answer.
    text = re.sub(r"nonce-[\w+/=-]+|nonce=\\\"[^\\]+", "<nonce>", text)
    text = re.sub(r'(csrfmiddlewaretoken\\" value=\\")[^\\]+', r"\1<token>", text)
    # An answer is as long as the names in it.
    text = re.sub(r'"content-length": "\d+"', "<length>", text)
    return response.status_code, text


def _text(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return content.decode("utf-8", "replace")[:20_000]


@pytest.mark.parametrize("name", NAMES)
def test_methods_that_an_address_does_not_know(stage: Stage, name: str) -> None:
    """HEAD is GET without a body, OPTIONS of the API says what there is to who may come, and all others are 405."""
    place, page = stage.place, name.startswith("web:")
    known = {method for other, method in TRUTH if other == name}
    who = [actor for actor in stage.own if actor.name in ("owner", "machine's key to look")]
    wrong = []
    for actor in (*who, stage.nobody[0], stage.foreign[0]):
        gated = all(actor.answer(TRUTH[name, one], OWNED[name, one], page)[0] == 403 for one in known)
        for method in set(METHODS) - known:
            row = OWNED.get((name, "get" if method == "head" else method), OWNED[name, sorted(known)[0]])
            url = fill(name, {**place.ids, **row.ids(place)})
            expected = {405}
            if actor in stage.foreign:
                expected = {404}
            elif not actor.role or (page and actor.by_key):
                expected = {302 if page else 401}
            elif method == "head" and "get" in known:
                expected = {actor.answer(TRUTH[name, "get"], OWNED[name, "get"], page)[0]}
            elif method == "options" and not page:
                expected = {200, 403} if gated else {200}
            elif gated:
                expected = {403, 405}
            if name == "web:use_preset":
                # Its path names no workspace.
                expected = {405} if actor.role and not actor.by_key else {302}
            with taken_back():
                before = attempts()
                query = "?" + "&".join(f"{key}={value}" for key, value in row.query(place).items())
                response = actor.comes().generic(method.upper(), url + query, "{}", "application/json")
                if stage.changed(before):
                    wrong.append(f"{actor.name}: {method} has changed a row")
            if response.status_code not in expected:
                wrong.append(f"{actor.name}: {method} is {response.status_code}, not {expected}")
            if method == "head" and not response.streaming and response.content:
                wrong.append(f"{actor.name}: HEAD has a body")
    assert not wrong, "\n".join(wrong)


# --- Workspaces in another state --------------------------------------------------------------------------------------


def _answered_otherwise(stage: Stage, otherwise: dict[tuple[str, str], tuple[int, bool]]) -> Iterator[str]:
    """By an owner, who may more than anybody else: what is answered neither as there, nor as ever (GET) or 403."""
    place, owner, standing = stage.place, stage.own[0], stage.rows.digest()
    for (name, method), truth in TRUTH.items():
        row = OWNED[name, method]
        expected = otherwise.get((name, method), (row.owner if method == "get" else 403, False))
        with taken_back():
            response = owner.ask(place, name, method, row)
            found = response.status_code, stage.rows.digest() != standing
        if found != expected:
            yield f"{method} {name} ({truth.needs}): {found}, not {expected}: {_text(response)[:300]}"
        elif otherwise is WHILE_SUSPENDED and found[0] == 403 and name.startswith("api-"):
            code = response.json()["code"]
            if code != "workspace_suspended":
                yield f"{method} {name} says {code}"


def test_a_workspace_that_is_being_deleted_is_only_read(stage: Stage) -> None:
    with taken_back():
        deletion.close(stage.place.tenant.user, stage.place.tenant.workspace)
        wrong = list(_answered_otherwise(stage, WHILE_CLOSING))
    assert not wrong, "\n".join(wrong)


def test_a_workspace_that_is_suspended_is_only_read(stage: Stage) -> None:
    """Also where it is being deleted besides."""
    here, wrong = stage.place.tenant.workspace.pk, []
    for delete_at in (None, timezone.now() + timedelta(days=1)):
        with taken_back():
            with scope(here):
                Workspace.objects.filter(pk=here).update(suspended_at=timezone.now(), delete_at=delete_at)
            wrong += _answered_otherwise(stage, WHILE_SUSPENDED)
    assert not wrong, "\n".join(wrong)


def test_a_workspace_that_asks_for_a_second_factor_lets_nobody_in_without(stage: Stage) -> None:
    place = stage.place
    who = [actor for actor in stage.own if actor.name in ("owner", "viewer", "owner's key")]
    wrong = []
    with taken_back():
        with scope(place.tenant.workspace.pk):
            Workspace.objects.filter(pk=place.tenant.workspace.pk).update(require_mfa=True)
        standing = stage.rows.digest()
        for (name, method), truth in TRUTH.items():
            row, page = OWNED[name, method], is_page(name, method)
            for actor in who:
                if actor.by_key and (page or method != "get"):
                    continue
                # A key was made by somebody who could enter, and is bounded on its own.
                expected = actor.answer(truth, row, page)[0] if actor.by_key else 302 if page else 403
                with taken_back():
                    response = actor.ask(place, name, method, row)
                    changed = stage.rows.digest() != standing
                if response.status_code != expected or changed:
                    wrong.append(f"{actor.name}: {method} {name} is {response.status_code} {changed}, not {expected}")
                elif page and not response.url.startswith("/account/two-step/?next="):
                    wrong.append(f"{actor.name}: {method} {name} leads to {response.url}")
                elif expected == 403 and not page and not actor.by_key and response.json()["code"] != "mfa_required":
                    wrong.append(f"{actor.name}: {method} {name} says {response.json()['code']}")
    assert not wrong, "\n".join(wrong)


# --- What belongs to no workspace -------------------------------------------------------------------------------------

OPEN_TO = {
    # name, method: nobody, a person, who comes with a key
    ("api-workspaces", "get"): (401, 200, 200),
    ("api-workspaces", "post"): (401, 201, 403),
    ("api-invitation-accept", "post"): (401, 404, 403),
    ("api-presets", "get"): (401, 200, 200),
    ("api-preset", "get"): (401, 200, 200),
    ("api-nodes", "get"): (401, 200, 200),
    ("api-node", "get"): (401, 200, 200),
    ("api-me", "get"): (401, 200, 200),
    ("health-live", "get"): (200, 200, 200),
    ("health-ready", "get"): (200, 200, 200),
    ("web:landing", "get"): (200, 302, 200),
    ("web:theme", "post"): (302, 302, 302),
    ("web:gallery", "get"): (200, 200, 200),
    ("web:preset", "get"): (200, 200, 200),
    ("web:new_workspace", "get"): (302, 200, 302),
    ("web:new_workspace", "post"): (302, 302, 302),
    ("web:invitation", "get"): (404, 404, 404),
    ("web:invitation", "post"): (404, 404, 404),
    ("web:shared", "get"): (302, 200, 302),
    ("web:notices", "get"): (200, 200, 200),
    ("web:dismiss_notice", "post"): (302, 302, 302),
    ("security-txt", "get"): (404, 404, 404),  # nobody is named in the settings of the tests
}
"""The published schema is everybody's; it takes seconds to write, and has tests of its own."""
MAKES = {("api-workspaces", "post"), ("web:new_workspace", "post")}
FORMS: dict[str, dict[str, str]] = {"web:theme": {"theme": "dark"}, "web:new_workspace": {"name": "new"}}


def test_what_belongs_to_no_workspace_has_a_row() -> None:
    assert {name for name, _ in OPEN_TO} == {name for name, _ in OPEN_API} | OPEN - {"schema"}
    assert set(OPEN_API) <= set(OPEN_TO)


@pytest.mark.parametrize(("name", "method"), sorted(OPEN_TO))
def test_what_belongs_to_no_workspace(stage: Stage, name: str, method: str) -> None:
    place = stage.place
    token = place.shared if name == "web:shared" else "inv_of_nobody"
    url = fill(name, {**place.ids, "token": token, "banner_id": uuid4()})
    wrong = []
    for actor in (*stage.own, *stage.nobodies(not name.startswith("api-"))):
        column = 0 if not actor.role else 2 if actor.by_key else 1
        expected = OPEN_TO[name, method][column]
        with taken_back():
            if (name, method) in OPEN_API:
                response = send(actor.comes(), place, name, method, OPEN_API[name, method])
            else:
                response = getattr(actor.comes(), method)(url, FORMS.get(name))
            changed = stage.rows.digest() != stage.standing
        writes = (name, method) in MAKES and column == 1
        # A workspace that is made is another one; that of who asks has no new row.
        if response.status_code != expected or (changed and not writes and name != "web:invitation"):
            wrong.append(f"{actor.name}: {response.status_code} {changed}, not {expected}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", sorted(OF_PERSON))
def test_a_page_of_the_account_is_nobodys(stage: Stage, name: str) -> None:
    """By every method. And nobody ends the session of somebody else."""
    session = Session.objects.filter(user=stage.place.tenant.user).first()
    assert session is not None
    url = fill(name, {**stage.place.ids, "session_id": session.id, "passkey_id": 1, "purpose": "prove"})
    wrong = []
    for actor in (*stage.nobodies(True), *(one for one in stage.own if one.by_key)):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            with taken_back():
                before = attempts()
                response = actor.comes().generic(method, url, "theme=dark", "application/x-www-form-urlencoded")
                changed = stage.changed(before)
            # To a host that passkeys cannot be of, nobody is told more than that.
            if response.status_code not in (302, 405, 409 if name == "web:passkey_options" else 302) or changed:
                wrong.append(f"{actor.name}: {method} is {response.status_code} {changed}")
    for actor in (one for one in stage.foreign if not one.by_key):
        if name == "web:end_session":
            with taken_back():
                actor.comes().post(url)
                if not Session.objects.filter(pk=session.pk).exists():
                    wrong.append(f"{actor.name} has ended a foreign session")
    assert not wrong, "\n".join(wrong)


def test_nobody_but_staff_gets_into_the_console(stage: Stage) -> None:
    # Who signs out there ends the own session.
    routes = sorted(route for route in set(all_routes()) if route.startswith("admin/") and "logout" not in route)
    assert len(routes) > 20
    ids = {**stage.place.ids, "user": stage.place.tenant.user.pk}
    who = [stage.own[0], next(one for one in stage.own if one.by_key), stage.nobody[0], stage.foreign[0]]
    wrong = []
    for route in routes:
        address = address_of(route, ids)
        for actor in who:
            for method in ("GET", "POST"):
                with taken_back():
                    before = attempts()
                    response = actor.comes().generic(method, address, "a=b", "application/x-www-form-urlencoded")
                    changed = stage.changed(before)
                open_to_all = "/login/" in address or "jsi18n" in address
                if changed or (response.status_code < 300 and not open_to_all):
                    wrong.append(f"{actor.name}: {method} {address} is {response.status_code} {changed}")
    assert not wrong, "\n".join(wrong)


def test_a_list_of_the_own_workspace_names_nothing_foreign(stage: Stage) -> None:
    bob = stage.place.stranger
    foreign = [one for one in words(stage.place) if one != str(bob.workspace.pk)]
    wrong = []
    for name, method in OWNED:
        if method != "get" or "<" in re.sub(r"<slug:(slug|preset_id)>", "", _route(name)):
            continue
        for actor in stage.foreign:
            with taken_back():
                text = _text(send(actor.comes(), stage.place, name, method, Row(), {"slug": bob.workspace.slug}))
            wrong += [f"{actor.name}: {name} tells {one}" for one in foreign if one in text]
    assert not wrong, "\n".join(wrong)


def test_a_filter_finds_nothing_foreign(stage: Stage) -> None:
    """Every filter of every list, by every id there is in the other workspace, and by its people's addresses."""
    place, bob, owner = stage.place, stage.place.stranger, stage.foreign[0]
    ann = place.tenant
    texts = {str(one) for one in (*place.ids.values(), place.running.pk, ann.user.pk) if isinstance(one, UUID)}
    texts |= {ann.user.email, "runs.run"}
    asked, wrong = 0, []
    for _, name, view in addresses():
        filters = getattr(getattr(view, "cls", None), "filters", {})
        route = re.sub(r"<slug:slug>", "", _route(name))
        for key in filters if "<" not in route else ():
            for text in texts:
                answer = owner.comes().get(fill(name, {"slug": bob.workspace.slug}), {key: text})
                asked += 1
                found = answer.json().get("results") if answer.status_code == 200 else []
                if any(one in _text(answer).replace(text, "") for one in texts - {"runs.run"}):
                    wrong.append(f"{name}?{key}={text} tells {_text(answer)[:300]}")
                if found and key not in ("object_type",):
                    wrong.append(f"{name}?{key}={text} finds {found}")
    assert asked > 100
    assert not wrong, "\n".join(wrong)


def _route(name: str) -> str:
    return next(route for route, other, _ in addresses() if other == name)


def test_a_person_who_is_closed_is_nobody_at_once(stage: Stage) -> None:
    """Of a session that was good a moment ago."""
    place, viewer = stage.place, stage.own[3]
    assert viewer.ask(place, "api-projects", "get", Row()).status_code == 200
    with taken_back():
        User.objects.filter(pk=viewer.client.session["_auth_user_id"]).update(is_active=False)
        assert viewer.ask(place, "api-projects", "get", Row()).status_code == 401
