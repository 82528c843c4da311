"""How long a login holds, when it gets a new key, and how it ends."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from authenticators import PASSWORD, whose
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AccountEvent, Session, User
from apps.accounts.services import register
from apps.live.login import Caller, users_of
from apps.live.permit import Permit
from apps.live.selectors import permits_now
from apps.runs.sweeping import sweep
from apps.workspaces.keys import create_key
from apps.workspaces.selectors import membership, workspaces_of

pytestmark = pytest.mark.django_db

PROVE = "/account/prove/"


@pytest.fixture
def ada(db: None) -> User:
    user = register("ada@example.org", PASSWORD)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def signed_in(user: User, client: Client | None = None) -> Client:
    client = client or Client()
    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD, "remember": "on"})
    assert whose(client) == user.email
    return client


def key_of(client: Client) -> str:
    return str(client.session.session_key)


def permit_of(user: User, client: Client) -> Permit:
    (workspace,) = workspaces_of(user)
    return Permit.of(user, membership(user, workspace.slug), key_of(client))


@pytest.mark.parametrize(
    ("changed", "holds"),
    [
        ({"seen_at": timedelta(hours=71)}, True),
        ({"seen_at": timedelta(hours=73)}, False),
        ({"created_at": timedelta(days=14, minutes=-5)}, True),
        # However diligently it is used.
        ({"created_at": timedelta(days=14, minutes=5), "seen_at": timedelta()}, False),
    ],
)
def test_a_login_is_over_after_its_time_and_when_it_is_not_used(
    ada: User, changed: dict[str, timedelta], holds: bool
) -> None:
    client = signed_in(ada)
    key, permit = key_of(client), permit_of(ada, client)
    rows = Session.objects.filter(session_key=key)
    rows.update(**{name: timezone.now() - age for name, age in changed.items()})
    rows.update(expire_date=timezone.now() + timedelta(days=30))
    # Sockets first: a page that is loaded counts as use.
    assert (permits_now([permit])[permit] is not None) == holds
    caller = Caller(session_key=key)
    assert (users_of([caller])[caller] is not None) == holds
    assert whose(client) == (ada.email if holds else None)
    assert rows.exists() == holds, "what is over is not kept"


def test_the_sweeper_forgets_what_is_over(ada: User) -> None:
    over, holding = key_of(signed_in(ada)), key_of(signed_in(ada))
    Session.objects.filter(session_key=over).update(expire_date=timezone.now() - timedelta(seconds=1))
    sweep()
    assert list(Session.objects.values_list("session_key", flat=True)) == [holding]


def test_every_login_has_a_key_of_its_own_and_ends_the_one_before(ada: User) -> None:
    client = Client()
    client.get(reverse("account_login"))
    client.cookies["sessionid"] = "a" * 32
    session = client.session
    session["kept"] = 1
    session.save()
    before = key_of(client)
    first = key_of(signed_in(ada, client))
    client.post(reverse("account_logout"))
    second = key_of(signed_in(ada, client))
    assert len({before, first, second}) == 3
    assert list(Session.objects.values_list("session_key", flat=True)) == [second]


def test_a_key_that_somebody_else_has_chosen_is_not_taken_over(ada: User) -> None:
    from django.conf import settings

    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = chosen = "k" * 32
    signed_in(ada, client)
    assert key_of(client) != chosen
    assert not Session.objects.filter(session_key=chosen).exists()


def test_keys_are_drawn_by_the_system_s_generator_and_have_more_than_128_bits() -> None:
    from apps.accounts.sessions import SessionStore

    keys = {SessionStore()._get_new_session_key() for _ in range(200)}
    assert len(keys) == 200
    assert {len(key) for key in keys} == {32}
    # 32 signs of 36: log2(36) = 5.17 bits each, 165 together.
    assert set("".join(keys)) <= set("abcdefghijklmnopqrstuvwxyz0123456789")
    assert len(set("".join(keys))) == 36


def test_a_proof_gives_the_session_a_new_key_and_the_old_one_opens_nothing(ada: User) -> None:
    client = signed_in(ada)
    thief = Client()
    thief.cookies = client.cookies.copy()
    assert whose(thief) == ada.email
    before = key_of(client)
    assert client.post(PROVE, {"password": PASSWORD}).status_code == 302
    assert key_of(client) != before
    assert (whose(client), whose(thief)) == (ada.email, None)


def test_signing_out_ends_it_at_the_server_and_empties_the_browser(ada: User) -> None:
    client = signed_in(ada)
    copy = Client()
    copy.cookies = client.cookies.copy()
    answer = client.post(reverse("account_logout"))
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert whose(copy) is None
    assert not Session.objects.filter(user=ada).exists()
    # Nobody who follows a link is signed out, and nobody's browser is emptied from elsewhere.
    client = signed_in(ada)
    assert "Clear-Site-Data" not in client.get(reverse("account_logout")).headers
    assert whose(client) == ada.email
    assert "Clear-Site-Data" not in Client().post(reverse("account_logout")).headers


def test_a_person_who_is_deactivated_is_out_everywhere_at_once(ada: User) -> None:
    client = signed_in(ada)
    permit = permit_of(ada, client)
    (workspace,) = workspaces_of(ada)
    _, secret = create_key(ada, workspace, "k")
    program = Client(headers={"Authorization": f"Bearer {secret}"})
    assert program.get("/api/v1/me/").status_code == 200
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert whose(client) is None
    assert program.get("/api/v1/me/").status_code == 401
    assert permits_now([permit]) == {permit: None}
    assert client.post(reverse("account_login"), {"login": ada.email, "password": PASSWORD}).status_code != 500
    assert whose(client) is None


def test_ending_sessions_asks_for_a_proof(ada: User) -> None:
    here, there = signed_in(ada), signed_in(ada)
    session = here.session
    session["proof_at"] -= 10 * 60 + 1
    session.save()
    row = Session.objects.get(session_key=key_of(there))
    for path in (f"/account/sessions/{row.id}/end/", "/account/sessions/end/"):
        answer = here.post(path)
        assert (answer.status_code, answer.url.startswith(PROVE)) == (302, True)
    assert whose(there) == ada.email
    here.post(PROVE, {"password": PASSWORD})
    assert here.post("/account/sessions/end/").status_code == 302
    assert whose(there) is None


@pytest.mark.parametrize("everybody", [False, True])
def test_an_operator_ends_the_sessions_of_one_or_of_all(ada: User, bob: Any, everybody: bool) -> None:
    client = signed_in(ada)
    said = io.StringIO()
    call_command("end_sessions", *(["--everybody"] if everybody else ["ADA@example.org"]), stdout=said)
    assert whose(client) is None
    assert whose(bob.client) == (None if everybody else bob.user.email)
    assert said.getvalue().startswith("2 " if everybody else "1 ")
    ended = AccountEvent.objects.filter(action="session.end_others").values_list("user_id", flat=True)
    assert set(ended) == ({ada.pk, bob.user.pk} if everybody else {ada.pk})


def test_an_operator_is_told_of_an_address_that_is_nobody_s(db: None) -> None:
    with pytest.raises(CommandError, match="no account"):
        call_command("end_sessions", "nobody@example.org")
    with pytest.raises(CommandError):
        call_command("end_sessions")


@pytest.mark.parametrize("page", ["/", "/account/", "/account/security/", "/presets/", "/workspaces/new/"])
def test_every_page_of_somebody_who_is_signed_in_has_the_way_out(ada: User, page: str) -> None:
    text = signed_in(ada).get(page, follow=True).content.decode()
    assert f'action="{reverse("account_logout")}" method="post"' in text


def test_the_site_can_ask_everybody_for_two_steps(ada: User, settings: Any, enrolled: Any) -> None:
    (workspace,) = workspaces_of(ada)
    client = signed_in(ada)
    permit = permit_of(ada, client)
    page, api = f"/w/{workspace.slug}/", f"/api/v1/workspaces/{workspace.slug}/"
    assert (client.get(page).status_code, client.get(api).status_code) == (200, 200)
    accounts = settings.ATTRACTOR.accounts.model_copy(update={"require_mfa": True})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"accounts": accounts})
    answer = client.get(page)
    assert (answer.status_code, answer.url) == (302, f"/account/two-step/?next={page}")
    assert client.get(api).json()["code"] == "mfa_required"
    assert permits_now([permit]) == {permit: None}
    eve = enrolled()
    (hers,) = workspaces_of(eve.user)
    assert eve.signed_in().get(f"/w/{hers.slug}/").status_code == 200
