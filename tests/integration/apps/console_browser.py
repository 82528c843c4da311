"""Browsers of operators."""

from __future__ import annotations

from authenticators import Person
from django.test import Client


def enter(person: Person) -> Client:
    """A browser of the person that has opened the console."""
    client = person.signed_in()
    person.clock.next_step()
    answer = client.post("/admin/login/", {"code": person.code()})
    assert (answer.status_code, answer.url) == (302, "/admin/")
    person.clock.next_step()
    return client
