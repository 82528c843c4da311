"""Ways past the second factor, each tried.

Beside these `every_address/test_half_signed_in.py` asks for every address of the site with a login that is only half
done, and `test_other_sites.py` comes by way of another site.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest
from allauth.account import views as allauth_views
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from authenticators import PASSWORD, Clock, Person, whose
from django.conf import settings as site
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core import mail
from django.test import Client
from django.urls import path, reverse
from django_otp import DEVICE_ID_SESSION_KEY

import config.urls
from apps.accounts.mfa import enrolment, secret
from apps.accounts.models import Session, TotpDevice, User
from apps.accounts.services import register

pytestmark = pytest.mark.django_db

urlpatterns = [
    path("accounts/login/code/", allauth_views.request_login_code, name="account_request_login_code"),
    *config.urls.urlpatterns,
]
"""The site with allauth's login by a code in a mail, which ours does not have."""


def waits_for_a_code(client: Client) -> bool:
    """Whether the browser's login goes on with a code and with nothing else."""
    return whose(client) is None and client.get(reverse("web:second_factor")).status_code == 200


def test_1_the_password_alone(enrolled: Any) -> None:
    eve = enrolled()
    client = eve.half_in()
    assert waits_for_a_code(client)
    assert SESSION_KEY not in client.session
    # Nor by giving it again, or by going where signing in leads to.
    for address in ("/", "/accounts/login/", "/accounts/reauthenticate/", reverse("web:prove")):
        client.post(address, {"login": eve.user.email, "password": PASSWORD, "next": "/"})
        client.get(address)
        assert whose(client) is None


def test_2_a_password_that_was_reset_by_mail(enrolled: Any) -> None:
    eve = enrolled()
    client = Client()
    client.post(reverse("account_reset_password"), {"email": eve.user.email})
    link = re.search(r"https?://testserver(/\S+)", mail.outbox[-1].body)
    assert link is not None
    form = client.get(link.group(1), follow=True).redirect_chain[-1][0]
    new = "an entirely different secret"
    client.post(form, {"password1": new, "password2": new})
    assert whose(client) is None
    client.post(reverse("account_login"), {"login": eve.user.email, "password": new})
    assert waits_for_a_code(client)


@pytest.mark.parametrize("when", ["before", "while"])
def test_3_a_confirmed_address(enrolled: Any, settings: Any, when: str) -> None:
    """Confirming an address in the browser that waits for it signs in, where allauth is told so."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
    eve = enrolled()
    EmailAddress.objects.update(verified=False)
    client = Client()
    if when == "while":
        client.post(reverse("account_login"), {"login": eve.user.email, "password": PASSWORD})
        assert whose(client) is None
    key = EmailConfirmationHMAC(EmailAddress.objects.get()).key
    client.post(reverse("account_confirm_email", args=[key]))
    assert EmailAddress.objects.get().verified
    assert whose(client) is None
    client.post(reverse("account_login"), {"login": eve.user.email, "password": PASSWORD})
    assert waits_for_a_code(client)


@pytest.mark.urls("test_second_factor_bypass")
def test_4_a_code_in_a_mail_in_place_of_the_password(enrolled: Any, settings: Any) -> None:
    settings.ACCOUNT_LOGIN_BY_CODE_ENABLED = True
    eve = enrolled()
    mail.outbox.clear()
    client = Client()
    client.post("/accounts/login/code/", {"email": eve.user.email})
    code = re.search(r"^\s*([A-Z0-9]{4}-?[A-Z0-9]{2,4})\s*$", mail.outbox[-1].body, re.MULTILINE)
    assert code is not None, mail.outbox[-1].body
    client.post(reverse("account_confirm_login_code"), {"code": code.group(1)})
    assert waits_for_a_code(client)


@pytest.mark.parametrize("address", ["/admin/login/", "/admin/"])
def test_5_the_admin_s_own_login(enrolled: Any, address: str) -> None:
    eve = enrolled("root", is_staff=True, is_superuser=True)
    client = Client()
    answer = client.post(address, {"username": eve.user.email, "password": PASSWORD, "next": "/admin/"})
    assert answer.status_code == 302
    assert answer.url.startswith((reverse("account_login"), "/admin/login/"))
    assert whose(client) is None
    assert eve.half_in(client).get("/admin/").status_code == 302
    browser = eve.signed_in()
    assert browser.get("/admin/").status_code == 302, "the console has a door of its own"
    eve.clock.next_step()
    assert browser.post("/admin/login/", {"code": eve.code()}).status_code == 302
    assert browser.get("/admin/").status_code == 200


def test_6_staff_without_a_second_factor(db: None) -> None:
    register("root@example.org", PASSWORD, is_staff=True, is_superuser=True)
    client = Client()
    client.post(reverse("account_login"), {"login": "root@example.org", "password": PASSWORD})
    assert whose(client) == "root@example.org"
    for address in ("/admin/", "/admin/accounts/user/", "/admin/login/"):
        answer = client.get(address, follow=True)
        assert answer.redirect_chain[-1][0].startswith(reverse("web:enrol_second_factor")), address
        assert b"Site administration" not in answer.content


def test_7_a_session_that_code_forgot_to_ask(enrolled: Any) -> None:
    """Whatever calls Django's `login` without a look at the second factor makes a session that is nobody's."""
    eve = enrolled("root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(eve.user)
    assert SESSION_KEY in client.session
    assert whose(client) is None
    for address in ("/admin/", reverse("web:account_security"), reverse("web:prove"), "/accounts/password/change/"):
        answer = client.get(address)
        assert (answer.status_code, "login" in answer.url) == (302, True), address


def test_8_a_browser_that_was_signed_in_before(clock: Clock) -> None:
    """ "Remember me" remembers a session, and not that a browser may come without a code."""
    user = register("eve@example.org", PASSWORD)
    old, here = Client(), Client()
    for client in (old, here):
        client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD, "remember": "on"})
        assert whose(client) == user.email
    eve = Person(user, secret.opened(enrolment.begin(user).key), [], clock)
    assert here.post(reverse("web:enrol_second_factor"), {"code": eve.code()}).status_code == 200
    assert (whose(here), whose(old)) == (user.email, None)
    here.post(reverse("account_logout"))
    eve.half_in(here, remember="on")
    assert waits_for_a_code(here)


@pytest.mark.parametrize("device", ["foreign", "unconfirmed", "gone", "nonsense", "none"])
def test_9_a_session_bound_to_what_is_not_the_person_s_authenticator(enrolled: Any, device: str) -> None:
    eve, mallory = enrolled(), enrolled("mallory")
    client = eve.signed_in()
    session = client.session
    if device == "foreign":
        session[DEVICE_ID_SESSION_KEY] = TotpDevice.objects.get(user=mallory.user).persistent_id
    elif device == "unconfirmed":
        drawn = TotpDevice.objects.create(user=eve.user, name="x", confirmed=False, key=secret.sealed(secret.draw()))
        session[DEVICE_ID_SESSION_KEY] = drawn.persistent_id
    elif device == "gone":
        TotpDevice.objects.filter(user=eve.user).delete()
    elif device == "nonsense":
        session[DEVICE_ID_SESSION_KEY] = "accounts.totpdevice/0 or 1=1"
    else:
        del session[DEVICE_ID_SESSION_KEY]
    session.save()
    assert whose(client) is None


def test_10_another_authenticator_in_place_of_the_one(enrolled: Any) -> None:
    """Who has half a login, or a session that is not whole, sets up none and switches none off."""
    eve = enrolled()
    forced = Client()
    forced.force_login(eve.user)
    for client in (eve.half_in(), forced):
        for name in ("enrol_second_factor", "switch_off_second_factor", "renew_recovery_codes"):
            client.post(reverse(f"web:{name}"), {"code": "000000"})
    assert TotpDevice.objects.get(user=eve.user).confirmed
    assert User.objects.get(pk=eve.user.pk).mfa_since is not None
    assert enrolment.begun(eve.user) is None
    with pytest.raises(enrolment.SecondFactorState):
        enrolment.begin(eve.user)


def test_11_half_a_login_of_one_and_the_code_of_another(enrolled: Any) -> None:
    """Whoever has Eve's password gives it on top of an own half login, in either order: the own code opens no more than
    the own account."""
    eve, mallory = enrolled(), enrolled("mallory")
    for first, second in ((mallory, eve), (eve, mallory)):
        client = first.half_in()
        second.half_in(client)
        client.post(reverse("web:second_factor"), {"code": mallory.code()})
        assert whose(client) in (None, mallory.user.email)
        mallory.clock.next_step()


def test_12_a_factor_that_is_switched_on_during_a_login(clock: Clock, settings: Any) -> None:
    """What is asked for when the login ends counts."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
    user = register("eve@example.org", PASSWORD)
    EmailAddress.objects.create(user=user, email=user.email, primary=True)
    client = Client()
    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    eve = Person(user, secret.opened(enrolment.begin(user).key), [], clock)
    assert enrolment.confirm(user, eve.code(), None) is not None
    client.post(reverse("account_confirm_email", args=[EmailConfirmationHMAC(EmailAddress.objects.get()).key]))
    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    assert whose(client) is None


def test_13_a_session_without_a_row(enrolled: Any) -> None:
    """Sessions are looked up by a key that nobody guesses, and one that was ended is not made again by its cookie."""
    eve = enrolled()
    client = eve.signed_in()
    Session.objects.all().delete()
    assert whose(client) is None
    store = import_module(site.SESSION_ENGINE).SessionStore(client.cookies[site.SESSION_COOKIE_NAME].value)
    assert dict(store.items()) == {}


def test_14_a_session_written_by_hand(enrolled: Any) -> None:
    """All that Django asks for, and nothing of the authenticator."""
    eve = enrolled()
    client = Client()
    session = client.session
    session[SESSION_KEY] = str(eve.user.pk)
    session[BACKEND_SESSION_KEY] = site.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = eve.user.get_session_auth_hash()
    session.save()
    client.cookies[site.SESSION_COOKIE_NAME] = session.session_key
    assert whose(client) is None
