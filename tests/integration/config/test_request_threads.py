"""Threads answer one request after another: what a request leaves behind is not the next one's."""

import asyncio
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

from apps.ops.admission import AdmittingHandler


def forgetful(request: HttpRequest) -> HttpResponse:
    transaction.atomic().__enter__()
    return HttpResponse("left open")


def asking(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.workspace_id', true)")
        return HttpResponse(str(connection.in_atomic_block))


urlpatterns = [path("forgetful", forgetful), path("asking", asking)]


async def answer_of(handler: AdmittingHandler, address: str) -> tuple[int, str]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": address, "query_string": b"", "headers": [(b"host", b"testserver")],
        "http_version": "1.1", "scheme": "http",
    }  # fmt: skip
    await handler(scope, receive, send)
    return sent[0]["status"], sent[1]["body"].decode()


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_left_open_ends_with_its_request(settings: Any) -> None:
    web = settings.ATTRACTOR.web.model_copy(update={"requests_at_once": 1})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"web": web})
    settings.ROOT_URLCONF = __name__
    settings.SECURE_SSL_REDIRECT = False

    async def both() -> list[tuple[int, str]]:
        handler = AdmittingHandler()
        return [await answer_of(handler, address) for address in ("/forgetful", "/asking", "/asking")]

    assert asyncio.run(both()) == [(200, "left open"), (200, "False"), (200, "False")]
