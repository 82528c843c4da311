"""Two people with a workspace each, members of theirs, and runs that have ended."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from authenticators import Clock, Person
from django.core.cache import cache
from django.db import connection
from tenants import PASSWORD, Tenant, end_run, join, make_tenant

from apps.accounts.mfa import enrolment, secret
from apps.accounts.models import User
from apps.accounts.services import register
from apps.runs.models import Run
from apps.workspaces.models import Role


@pytest.fixture(autouse=True)
def _nothing_was_tried_yet(valkey_url: str) -> None:
    """The cache counts logins, mails and invitations, and there is one cache for all tests."""
    cache.clear()


@pytest.fixture
def ended_run(tmp_path: Path) -> Callable[..., Run]:
    """Makes runs as `end_run` does, in a folder of the test's."""

    def make(tenant: Tenant, **more: Any) -> Run:
        return end_run(tenant, tmp_path, **more)

    return make


@pytest.fixture
def ann(db: None) -> Tenant:
    return make_tenant("ann")


@pytest.fixture
def bob(db: None) -> Tenant:
    return make_tenant("bob")


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Call a function in several threads that begin together; gives what each returned, or raises what one raised."""

    def race(function: Callable[[int], Any], threads: int) -> list[Any]:
        ready = threading.Barrier(threads)

        def one(number: int) -> Any:
            ready.wait()
            try:
                return function(number)
            finally:
                connection.close()

        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(one, range(threads)))

    return race


@pytest.fixture
def member_of(db: None) -> Callable[[Tenant, Role], User]:
    return join


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("apps.accounts.mfa.totp.time", SimpleNamespace(time=lambda: made.now))
    return made


@pytest.fixture
def enrolled(db: None, clock: Clock) -> Callable[..., Person]:
    """Somebody who has set a second factor up."""

    def make(name: str = "eve", **fields: Any) -> Person:
        user = register(f"{name}@example.org", PASSWORD, name.title(), **fields)
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        drawn = secret.opened(enrolment.begin(user).key)
        person = Person(user, drawn, [], clock)
        done = enrolment.confirm(user, person.code(), None)
        assert done is not None
        person.recovery = done[1]
        clock.next_step()
        return person

    return make
