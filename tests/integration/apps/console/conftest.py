"""Operators inside their console, and what they leave in the logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from authenticators import Person
from console_browser import enter
from django.core.cache import cache
from django.test import Client

from apps.console.models import OperatorEvent
from apps.console.rights import Right
from config.launch import front_end


@pytest.fixture(scope="session", autouse=True)
def built_front_end() -> None:
    """Pages need its manifest."""
    front_end.build()


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    """Flags and banners are kept in the cache for some seconds, past a test's own transaction."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def root(enrolled: Any) -> Person:
    """A superuser."""
    found: Person = enrolled("root", is_staff=True, is_superuser=True)
    return found


@pytest.fixture
def console(root: Person) -> Client:
    """The superuser's browser, inside."""
    return enter(root)


@pytest.fixture
def operator(enrolled: Any) -> Callable[..., Person]:
    """Makes an operator with some rights."""

    def make(*rights: Right, name: str = "olga") -> Person:
        from django.contrib.auth.models import Permission

        made: Person = enrolled(name, is_staff=True)
        made.user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="console", codename__in=[str(one) for one in rights])
        )
        return made

    return make


@pytest.fixture
def events() -> Callable[[], list[str]]:
    """What operators did since the last call, without looks."""
    seen: set[Any] = set()

    def since() -> list[str]:
        rows = OperatorEvent.objects.exclude(pk__in=seen).order_by("at", "pk")
        found = [(row.pk, row.action) for row in rows]
        seen.update(pk for pk, _ in found)
        return [action for _, action in found if not action.endswith((".look", ".list", ".search"))]

    return since
