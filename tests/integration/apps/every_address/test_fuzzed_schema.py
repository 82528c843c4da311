"""Requests that schemathesis makes of the published schema, good and bad ones, as everybody: no answer is a fault of
the server, and each is what the schema says, in status, type, headers and body.

Everything runs through the WSGI application of the site. What a request changes is taken back, so that each meets the
same workspace. Nine of ten path parameters name what is there; else nearly every answer would be 404.
"""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from addresses import Place
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, transaction
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from apps.workspaces.keys import create_key
from apps.workspaces.models import Role

ROLES = ("owner", "editor", "viewer", "nobody", "key")
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
EVERYTHING = settings(
    deadline=None, database=None, phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck)
)
TOKEN = "x" * 32


@functools.cache
def published() -> Any:
    """The API's schema; its operations are called in this process. Who calls is for the test to say."""
    document = SchemaGenerator().get_schema(public=True)
    document["components"].pop("securitySchemes")
    for path in document["paths"].values():
        for operation in path.values():
            operation.pop("security")
    schema = schemathesis.openapi.from_dict(document)
    schema.app = WSGIHandler()
    return schema


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """The site would close its connection between requests, and with it the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def operations() -> Iterator[Any]:
    for one in published().get_all_operations():
        yield one.ok()


def login_of(client: Client) -> dict[str, Any]:
    cookies = {name: morsel.value for name, morsel in client.cookies.items()} | {"csrftoken": TOKEN}
    return {"cookies": cookies, "headers": {"X-CSRFToken": TOKEN}}


@pytest.fixture
def callers(place: Place, member_of: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    """The headers and cookies by which everybody comes."""
    editor = Client()
    editor.force_login(member_of(place.tenant, Role.EDITOR))
    _, secret = create_key(place.tenant.user, place.tenant.workspace, "fuzzed")
    clients = {**place.clients, "editor": editor}
    return {
        **{role: login_of(clients[role]) for role in ROLES if role in clients},
        "key": {"headers": {"Authorization": f"Bearer {secret}"}},
    }


def answered(case: Any, login: dict[str, Any]) -> Any:
    # A header named twice would be two; cookies that were drawn would go with those of the login.
    case.cookies = {}
    for name in [name for name in case.headers or {} if name.title() in ("Authorization", "Cookie", "X-Csrftoken")]:
        del case.headers[name]
    return case.call(**login)


def fuzz(operation: Any, place: Place, login: dict[str, Any], examples: int, number: int) -> Counter[int]:
    """Statuses of the answers to so many requests of one operation."""
    answers: Counter[int] = Counter()
    chance = random.Random(number)
    ids = {name: str(value) for name, value in place.ids.items()}

    def knock(case: Any) -> None:
        for name in case.path_parameters or {}:
            if chance.random() < 0.9:
                case.path_parameters[name] = ids[name]
        with transaction.atomic():
            response = answered(case, login)
            with connection.cursor() as cursor:
                # What is deferred until a commit would never be looked at, because there is none.
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            transaction.set_rollback(True)
        answers[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    for mode in GenerationMode:
        strategy = operation.as_strategy(generation_mode=mode)
        test = settings(EVERYTHING, max_examples=examples)(given(case=strategy)(knock))
        try:
            seed(number)(test)()
        except Unsatisfiable:
            # An operation that takes nothing has nothing to get wrong.
            assert mode.is_negative
    return answers


def fuzz_all(place: Place, role: str, login: dict[str, Any], examples: int, number: int) -> int:
    """Number of the requests."""
    answers: Counter[int] = Counter()
    failures = []
    for operation in operations():
        try:
            answers += fuzz(operation, place, login, examples, number)
        except (Exception, BaseExceptionGroup) as failure:  # noqa: BLE001 every operation is asked before the test fails
            failures.append(f"{operation.label}: {failure}")
    print(f"{role}: {answers.total()} requests: {dict(sorted(answers.items()))}")
    assert not failures, "\n\n".join(failures)
    assert (answers[200] > 0) == (role != "nobody"), "nobody else would have been let in"
    return answers.total()


@pytest.mark.slow
@pytest.mark.parametrize("role", ["editor", "key"])  # the two ways in; everybody else is asked below
def test_no_request_is_answered_by_a_fault(place: Place, callers: dict[str, dict[str, Any]], role: str) -> None:
    fuzz_all(place, role, callers[role], 1, 1)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("role", ROLES)
def test_no_request_of_a_hundred_thousand_is_answered_by_a_fault(
    place: Place, callers: dict[str, dict[str, Any]], role: str, number: int
) -> None:
    assert fuzz_all(place, role, callers[role], 175, number) >= 100_000 // 4
