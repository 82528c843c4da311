"""The schema is everybody's, and written once: it takes seconds."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import yaml
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from apps.ops import schema_view

ADDRESS = "/api/v1/schema/"
JSON = "application/vnd.oai.openapi+json"

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a process that has just begun makes of the schema, each time that it does."""
    schemas: list[Any] = []
    really = SchemaGenerator.get_schema

    def get_schema(self: Any, *args: Any, **more: Any) -> Any:
        schemas.append(really(self, *args, **more))
        return schemas[-1]

    monkeypatch.setattr(SchemaGenerator, "get_schema", get_schema)
    monkeypatch.setattr(schema_view, "DOCUMENTS", schema_view.Documents())
    return schemas


def test_it_is_made_once_whoever_asks_and_in_whichever_format(made: list[Any]) -> None:
    answers: list[Any] = []

    def ask(kind: str) -> None:
        answers.append(Client().get(ADDRESS, headers={"accept": kind}))

    kinds = [JSON, "application/json", "application/vnd.oai.openapi", "application/yaml"]
    threads = [threading.Thread(target=ask, args=(kind,)) for kind in (*kinds, *kinds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert [answer.status_code for answer in answers] == [200] * 8
    read = [
        json.loads(answer.content) if "json" in answer["content-type"] else yaml.safe_load(answer.content)
        for answer in answers
    ]
    assert all(one == read[0] for one in read)
    assert read[0]["openapi"].startswith("3.")
    assert "/api/v1/me/" in read[0]["paths"]
    assert read[0] == json.loads(json.dumps(made[0]))


def test_who_has_it_is_sent_nothing(made: list[Any]) -> None:
    first = Client().get(ADDRESS, headers={"accept": JSON})
    assert first["etag"]
    assert first["cache-control"] == "private, no-cache"
    again = Client().get(ADDRESS, headers={"accept": JSON, "if-none-match": first["etag"]})
    assert (again.status_code, again.content, again["etag"]) == (304, b"", first["etag"])
    other = Client().get(ADDRESS, headers={"accept": JSON, "if-none-match": '"another"'})
    assert (other.status_code, other.content) == (200, first.content)
    assert len(made) == 1
