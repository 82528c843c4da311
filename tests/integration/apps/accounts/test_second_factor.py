"""Setting a second factor up, signing in with it, and losing it; as a browser without JavaScript does it."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from authenticators import PASSWORD, Clock, Person, secret_on, whose
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.mfa import codes, patience, recovery
from apps.accounts.models import AccountEvent, CodeFailures, RecoveryCode, Session, TotpDevice, User
from apps.accounts.passwords import check_password
from apps.accounts.services import register
from apps.console.models import OperatorEvent

pytestmark = pytest.mark.django_db


def address(name: str) -> str:
    return reverse(f"web:{name}")


def enter(client: Client, code: str) -> Any:
    return client.post(address("second_factor"), {"code": code})


def test_a_person_sets_it_up_with_an_app_and_signs_in_with_it(
    clock: Clock, django_capture_on_commit_callbacks: Any
) -> None:
    user = register("ada@example.org", PASSWORD)
    client, other = Client(), Client()
    for one in (client, other):
        one.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    assert whose(client) == whose(other) == user.email
    page = address("enrol_second_factor")
    assert 'id="secret"' not in client.get(page).content.decode()
    shown = client.post(page, follow=True).content.decode()
    app = Person(user, secret_on(shown), [], clock)
    assert 'viewBox="0 0' in shown
    wrong = client.post(page, {"code": "000000" if app.code() != "000000" else "000001"})
    assert wrong.status_code == 422
    assert User.objects.get().mfa_since is None
    with django_capture_on_commit_callbacks(execute=True):
        done = client.post(page, {"code": app.code()})
    text = done.content.decode()
    app.recovery = re.findall(r"<code>([A-Z2-7-]{34})</code>", text)
    assert len(app.recovery) == len(set(app.recovery)) == 10
    assert (
        re.findall(r"[A-Z2-7-]{34}", unquote(text.split("data:text/plain;charset=utf-8,")[1].split('"')[0]))
        == app.recovery
    )
    # The browser in which it was done goes on, the other has to show a code.
    assert whose(client) == user.email
    assert whose(other) is None
    (told,) = [one for one in mail.outbox if one.to == [user.email]]
    assert told.subject == "Two-step sign-in is on"
    assert "mfa.on" in AccountEvent.objects.values_list("action", flat=True)
    # The code that has confirmed it is used up.
    again = app.half_in()
    assert enter(again, app.code()).status_code == 422
    assert whose(again) is None
    clock.next_step()
    assert enter(again, app.code()).status_code == 302
    assert whose(again) == user.email
    # Nobody is shown the secret or the recovery codes again.
    assert client.get(page).status_code == 302
    body = client.get(address("account_security")).content.decode()
    assert not [one for one in app.recovery if one in body]


def test_the_qr_code_says_what_the_page_says(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn by `qrcode`; what it is given is read by the rules of the Key URI Format."""
    said: list[str] = []
    from apps.web import qr_code

    monkeypatch.setattr(
        "apps.web.views.account.second_factor.draw", lambda text: said.append(text) or qr_code.draw(text)
    )
    user = register("ada@example.org", PASSWORD)
    client = Client()
    client.force_login(user)
    shown = client.post(address("enrol_second_factor"), follow=True).content.decode()
    parts = urlsplit(said[-1])
    query = {name: value for name, (value,) in parse_qs(parts.query).items()}
    assert (parts.scheme, parts.netloc, unquote(parts.path)) == ("otpauth", "totp", "/Attractor:ada@example.org")
    padded = query["secret"] + "=" * (-len(query["secret"]) % 8)
    assert base64.b32decode(padded) == secret_on(shown)
    app = TOTP(secret_on(shown), 6, SHA1(), 30)  # noqa: S303 as RFC 6238 has it
    assert app.get_provisioning_uri(user.email, "Attractor").split("?")[0] == said[-1].split("?")[0]


def test_a_code_is_taken_once_also_in_another_session(enrolled: Any) -> None:
    eve = enrolled()
    first, second = eve.half_in(), eve.half_in()
    code = eve.code()
    assert enter(first, code).status_code == 302
    assert enter(second, code).status_code == 422
    assert (whose(first), whose(second)) == (eve.user.email, None)


def test_after_a_later_code_an_earlier_one_is_worthless(enrolled: Any) -> None:
    eve = enrolled()
    assert codes.check(eve.user, eve.code(1)).device is not None
    for steps in (-1, 0, 1):
        assert codes.check(eve.user, eve.code(steps)).device is None


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_phone_may_be_half_a_minute_off(enrolled: Any, clock: Clock, steps: int) -> None:
    eve = enrolled()
    clock.next_step()
    assert codes.check(eve.user, eve.code(steps)).device is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["totp", "recovery"])
def test_of_many_who_come_with_one_code_at_once_one_is_let_in(enrolled: Any, at_once: Any, kind: str) -> None:
    eve = enrolled()
    code = eve.code() if kind == "totp" else eve.recovery[0]
    browsers = [eve.half_in() for _ in range(6)]
    statuses = at_once(lambda number: enter(browsers[number], code).status_code, 6)
    assert sorted(statuses) == [302, 422, 422, 422, 422, 422]
    assert sorted(map(whose, browsers), key=str) == sorted([eve.user.email, *[None] * 5], key=str)


def test_a_recovery_code_opens_once_and_is_kept_as_a_hash(
    enrolled: Any, django_capture_on_commit_callbacks: Any
) -> None:
    eve = enrolled()
    typed = eve.recovery[3].lower().replace("-", " ")
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        client = eve.half_in()
        assert enter(client, typed).status_code == 302
    assert whose(client) == eve.user.email
    assert "9 are left" in mail.outbox[-1].body
    assert enter(eve.half_in(), eve.recovery[3]).status_code == 422
    kept = str(list(RecoveryCode.objects.values()))
    assert not [one for one in eve.recovery if one in kept or recovery.plain(one) in kept]
    assert recovery.left(eve.user) == 9


def test_new_recovery_codes_make_the_old_ones_worthless(enrolled: Any) -> None:
    eve = enrolled()
    client = eve.signed_in()
    page = client.post(address("renew_recovery_codes")).content.decode()
    new = re.findall(r"<code>([A-Z2-7-]{34})</code>", page)
    assert len(new) == 10
    assert not set(new) & set(eve.recovery)
    assert codes.check(eve.user, eve.recovery[0]).device is None
    assert codes.check(eve.user, new[0]).device is not None


def test_one_person_s_codes_are_nothing_for_another(enrolled: Any) -> None:
    eve, mallory = enrolled(), enrolled("mallory")
    client = eve.half_in()
    assert enter(client, mallory.code()).status_code == 422
    assert enter(client, mallory.recovery[0]).status_code == 422
    assert recovery.left(mallory.user) == 10
    assert whose(client) is None


def test_switching_it_off_needs_only_the_password_again(enrolled: Any) -> None:
    eve = enrolled()
    client = eve.signed_in()
    assert client.post(address("switch_off_second_factor")).status_code == 302
    assert not TotpDevice.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert whose(client) == eve.user.email
    plain = Client()
    plain.post(reverse("account_login"), {"login": eve.user.email, "password": PASSWORD})
    assert whose(plain) == eve.user.email


def test_guessing_is_slowed_down_and_nobody_is_kept_out(
    enrolled: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve = enrolled()
    now = timezone.now()
    monkeypatch.setattr(patience.timezone, "now", lambda: now)
    wrong = next(
        f"{number:06d}" for number in range(9) if f"{number:06d}" not in {eve.code(step) for step in (-1, 0, 1)}
    )
    client, looked_at, waited = eve.half_in(), 0, timedelta()
    day = timedelta(days=1)
    while waited < day:
        verdict = codes.check(eve.user, wrong)
        if verdict.wait_s:
            # Even the right one waits: else a guess could be told from a refusal.
            assert codes.check(eve.user, eve.code()).wait_s
            now += timedelta(seconds=verdict.wait_s)
            waited += timedelta(seconds=verdict.wait_s)
        else:
            looked_at += 1
    assert looked_at < 120, "of a million codes three are good at a time"
    while not codes.check(eve.user, wrong).wait_s:
        continue
    assert "Too many wrong codes" in enter(client, eve.code()).content.decode()
    assert whose(client) is None
    now += patience.LONGEST
    assert enter(client, eve.code()).status_code == 302
    assert whose(client) == eve.user.email
    assert set(CodeFailures.objects.values_list("count", flat=True)) == {0}


def test_guessing_is_told_to_the_person_once(enrolled: Any, django_capture_on_commit_callbacks: Any) -> None:
    eve = enrolled()
    mail.outbox.clear()
    for _ in range(patience.WARN_AFTER + 2):
        with django_capture_on_commit_callbacks(execute=True):
            codes.check(eve.user, "not a code")
    assert [one.subject for one in mail.outbox] == ["Wrong codes for your account"]


def reset_by_mail(email: str, password: str) -> None:
    """What everybody can do who reads the mails of an address."""
    mail.outbox.clear()
    client = Client()
    client.post(reverse("account_reset_password"), {"email": email})
    link = re.search(r"https?://testserver(/\S+)", mail.outbox[0].body)
    assert link is not None
    form = client.get(link.group(1), follow=True).redirect_chain[-1][0]
    client.post(form, {"password1": password, "password2": password})
    assert User.objects.get(email=email).check_password(password)


def test_a_new_password_by_mail_leaves_the_waits(enrolled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or whoever reads the mailbox would set it anew after every few guesses, and wait for nothing."""
    eve = enrolled()
    now = timezone.now()
    monkeypatch.setattr(patience.timezone, "now", lambda: now)
    looked_at = 0
    for number in range(3):
        if number:
            reset_by_mail(eve.user.email, f"an entirely different secret {number}")
        while not codes.check(eve.user, "not a code").wait_s:
            looked_at += 1
    assert looked_at == patience.RULES[CodeFailures.Kind.TOTP].free + 1
    assert codes.check(eve.user, eve.code()).wait_s, "also for the right one"


def test_a_new_password_ends_the_waits_where_it_needs_both_steps(enrolled: Any) -> None:
    eve = enrolled()
    client = eve.signed_in()
    for _ in range(12):
        codes.check(eve.user, "not a code")
    new = "an entirely different secret"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert client.post(reverse("account_change_password"), form).status_code == 302
    eve.clock.next_step()
    assert codes.check(eve.user, eve.code()).device is not None


def test_a_new_password_by_mail_ends_the_waits_where_there_is_one_step(db: None) -> None:
    ada = register("ada@example.org", PASSWORD)
    for _ in range(12):
        check_password(ada, "not it")
    assert "Too many" in check_password(ada, PASSWORD)
    reset_by_mail(ada.email, "an entirely different secret")
    ada.refresh_from_db()
    assert check_password(ada, "an entirely different secret") == ""


def test_who_is_half_in_with_the_old_password_is_out(enrolled: Any) -> None:
    eve = enrolled()
    thief = eve.half_in()
    assert thief.get(address("second_factor")).status_code == 200
    reset_by_mail(eve.user.email, "an entirely different secret")
    answer = enter(thief, eve.code())
    assert (answer.status_code, answer.url) == (302, reverse("account_login"))
    assert whose(thief) is None
    # What was begun is gone, not only refused once; and the code was not looked at, so it is still good.
    assert thief.get(address("second_factor")).url == reverse("account_login")
    own = Client()
    own.post(reverse("account_login"), {"login": eve.user.email, "password": "an entirely different secret"})
    assert enter(own, eve.code()).status_code == 302
    assert whose(own) == eve.user.email


def test_the_other_kind_of_code_has_its_own_waits(enrolled: Any) -> None:
    """Who mistypes six digits some times can still come in by a recovery code."""
    eve = enrolled()
    for _ in range(patience.RULES[CodeFailures.Kind.TOTP].free + 1):
        codes.check(eve.user, "000")
    assert codes.check(eve.user, "000").wait_s
    assert codes.check(eve.user, eve.recovery[0]).device is not None


def test_an_operator_lets_in_who_has_lost_everything(
    enrolled: Any, django_capture_on_commit_callbacks: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    eve = enrolled()
    browser, why = eve.signed_in(), "came to the desk, ticket 7"
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        call_command("switch_off_second_factor", " EVE@example.org", "--reason", why)
    assert "is off" in capsys.readouterr().out
    (told,) = mail.outbox
    assert told.subject == "Two-step sign-in was switched off by an operator"
    assert why in told.body
    assert "Was this you?" not in told.body
    assert whose(browser) is None, "a session of somebody else ends too"
    assert not Session.objects.filter(user=eve.user).exists()
    event = OperatorEvent.objects.get(action="person.reset_second_factor")
    assert (event.operator, event.object_id, event.reason) == (None, str(eve.user.pk), why)
    assert event.data == {"sessions": 1, "by": "manage.py"}
    assert AccountEvent.objects.filter(user=eve.user, action="operator.mfa_reset", data={"reason": why}).exists()
    client = Client()
    client.post(reverse("account_login"), {"login": eve.user.email, "password": PASSWORD})
    assert whose(client) == eve.user.email
    for address_, reason in (("eve@example.org", why), ("nobody@example.org", why), ("eve@example.org", " ")):
        with pytest.raises(CommandError):
            call_command("switch_off_second_factor", address_, "--reason", reason)
    with pytest.raises(CommandError, match="--reason"):
        call_command("switch_off_second_factor", "eve@example.org")


def test_secrets_follow_a_change_of_the_site_s_key(enrolled: Any, settings: Any) -> None:
    eve = enrolled()
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another key of the site, which everybody can read here"
    with pytest.raises(CommandError, match="1 authenticators"):
        call_command("reseal_second_factors")
    settings.SECRET_KEY_FALLBACKS = [old]
    call_command("reseal_second_factors")
    settings.SECRET_KEY_FALLBACKS = []
    assert codes.check(eve.user, eve.code()).device is not None
