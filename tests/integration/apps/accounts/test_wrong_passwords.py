"""Who guesses does not get far, and whom they guess for is not locked out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from authenticators import PASSWORD, whose
from django.core import mail
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.accounts.services import register
from apps.ops.callers import network_of

pytestmark = pytest.mark.django_db
ADDRESS = "ada@example.org"


@pytest.fixture
def ada() -> User:
    user = register(ADDRESS, PASSWORD, "Ada")
    EmailAddress.objects.create(user=user, email=ADDRESS, verified=True, primary=True)
    return user


def browser(address: str) -> Client:
    return Client(REMOTE_ADDR=address)


def sign_in(client: Client, password: str = PASSWORD, email: str = ADDRESS) -> bool:
    """Whether one gets in."""
    answer = client.post(reverse("account_login"), {"login": email, "password": password})
    return answer.status_code == 302


def refused(client: Client, email: str = ADDRESS) -> bool:
    """Whether a wrong password is not even looked at any more."""
    answer = client.post(reverse("account_login"), {"login": email, "password": "wrong"})
    return "Too many wrong passwords" in answer.content.decode()


def guess(tries: int, place: Callable[[int], str]) -> int:
    """How many wrong passwords were looked at."""
    return sum(not refused(browser(place(n))) for n in range(tries))


def test_of_one_network_five_are_looked_at(ada: User) -> None:
    assert guess(20, lambda _: "203.0.113.5") == 5


def test_the_addresses_of_one_ipv6_network_are_one(ada: User) -> None:
    assert guess(20, lambda n: f"2001:4860:1:2:{n:x}::1") == 5
    assert network_of("2001:4860:1:2::1") == "2001:4860:1:2::/64"
    assert network_of("::ffff:203.0.113.5") == network_of("203.0.113.5") == "203.0.113.5"


def test_a_victim_elsewhere_signs_in_at_once_with_a_browser_never_seen(ada: User) -> None:
    guess(40, lambda _: "203.0.113.5")
    assert sign_in(browser("198.51.100.7"))


def test_a_victim_in_the_same_network_signs_in_with_a_browser_of_hers(ada: User) -> None:
    hers = browser("203.0.113.5")
    assert sign_in(hers)
    hers.post(reverse("account_logout"))
    guess(40, lambda _: "203.0.113.5")
    assert not sign_in(browser("203.0.113.5"))
    assert sign_in(hers)


def test_guessers_all_over_the_world_are_held_up_and_the_victim_is_not(ada: User) -> None:
    hers = browser("198.51.100.7")
    assert sign_in(hers)
    hers.post(reverse("account_logout"))
    assert guess(130, lambda n: f"203.0.{n}.9") == 100
    assert sign_in(hers)


def test_a_new_password_by_mail_opens_what_guessers_have_closed(ada: User) -> None:
    """With nothing but her mail, in a browser and a network that nobody knows."""
    guess(130, lambda n: f"203.0.{n}.9")
    new = browser("198.51.100.7")
    assert not sign_in(new)
    new.post(reverse("account_reset_password"), {"email": ADDRESS})
    link = re.search(r"https?://testserver(/\S+)", str(mail.outbox[-1].body))
    assert link is not None
    form = new.get(link.group(1), follow=True)
    secret = "an entirely different secret"
    new.post(form.redirect_chain[-1][0], {"password1": secret, "password2": secret})
    # Also when the guessers have gone on meanwhile.
    guess(130, lambda n: f"203.1.{n}.9")
    assert sign_in(new, secret)
    assert whose(new) == ADDRESS


def test_right_passwords_are_not_counted(ada: User) -> None:
    client = browser("203.0.113.5")
    for _ in range(12):
        client.cookies.clear()
        assert sign_in(client)


def test_a_known_browser_is_held_up_by_its_own_tries(ada: User) -> None:
    hers = browser("198.51.100.7")
    sign_in(hers)
    hers.post(reverse("account_logout"))
    assert sum(not refused(hers) for _ in range(20)) == 10
    assert sign_in(browser("198.51.100.8"))


def test_a_cookie_is_worth_something_for_its_own_person_only(ada: User) -> None:
    register("eve@example.org", PASSWORD)
    eves = browser("203.0.113.5")
    assert sign_in(eves, email="eve@example.org")
    eves.post(reverse("account_logout"))
    assert sum(not refused(eves) for _ in range(20)) == 5


def test_a_cookie_that_somebody_made_up_is_worth_nothing(ada: User, settings: Any) -> None:
    hers = browser("198.51.100.7")
    sign_in(hers)
    cookie = hers.cookies[settings.KNOWN_COOKIE_NAME]
    assert cookie["httponly"]
    assert ADDRESS not in cookie.value
    forger = browser("203.0.113.5")
    forger.cookies[settings.KNOWN_COOKIE_NAME] = cookie.value[:-1] + ("A" if cookie.value[-1] != "A" else "B")
    assert sum(not refused(forger) for _ in range(20)) == 5


def test_half_a_sign_in_makes_no_browser_known(enrolled: Any, settings: Any) -> None:
    """Who knows the password and has no code is a stranger."""
    person = enrolled("eve")
    assert settings.KNOWN_COOKIE_NAME not in person.half_in().cookies
    assert settings.KNOWN_COOKIE_NAME in person.signed_in().cookies


def test_who_has_no_account_is_counted_alike(ada: User) -> None:
    nobody = [refused(browser("203.0.113.5"), "nobody@example.org") for _ in range(8)]
    somebody = [refused(browser("203.0.113.6")) for _ in range(8)]
    assert nobody == somebody


def test_nobody_is_flooded_with_mails_and_the_page_says_the_same(ada: User) -> None:
    mail.outbox.clear()
    pages = {
        (answer.status_code, answer.url)
        for n in range(10)
        for answer in [browser(f"203.0.113.{n}").post(reverse("account_reset_password"), {"email": ADDRESS})]
    }
    assert len(pages) == 1
    assert len(mail.outbox) == 3
