"""A request that is sent twice with one key takes hold once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from apps.projects.models import Graph, Project
from apps.runs.models import Run
from apps.workspaces.idempotency import KEPT, MAX_LENGTH
from apps.workspaces.models import IdempotencyKey, Role
from apps.workspaces.scope import scope

SPEC = {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16}}], "edges": []}
CREATES: dict[str, tuple[Callable[[Any], dict[str, Any]], Any]] = {
    "/projects/": (lambda ann: {"name": "new"}, Project),
    "/graphs/": (lambda ann: {"project": str(ann.project.pk), "name": "new", "spec": SPEC}, Graph),
    "/runs/": (lambda ann: {"graph": str(ann.graph.pk), "ticks": 10}, Run),
}


def send(tenant: Any, path: str, body: Any, key: str, client: Any = None) -> Any:
    return (client or tenant.client).post(
        f"{tenant.root}{path}", body, content_type="application/json", headers={"Idempotency-Key": key}
    )


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def count(tenant: Any, model: Any) -> int:
    with scope(tenant.workspace.id):
        return int(model.objects.count())


@pytest.mark.django_db
@pytest.mark.parametrize("path", CREATES)
def test_the_second_request_is_answered_with_what_the_first_one_made(ann: Any, path: str) -> None:
    body, model = CREATES[path][0](ann), CREATES[path][1]
    before = count(ann, model)
    first, again, other = (send(ann, path, body, key) for key in ("one", "one", "two"))
    assert first.status_code == again.status_code == other.status_code == 201
    assert first.json()["id"] == again.json()["id"] != other.json()["id"]
    assert count(ann, model) == before + 2


@pytest.mark.django_db
def test_a_key_belongs_to_one_request_of_one_person_for_a_day(ann: Any, member_of: Any) -> None:
    first = send(ann, "/projects/", {"name": "one"}, "k").json()["id"]
    refused = send(ann, "/projects/", {"name": "another"}, "k")
    assert refused.status_code == 422
    assert refused.json()["code"] == "idempotency_key_used"
    assert refused.json()["problems"][0]["mend"]
    colleague = client_of(member_of(ann, Role.EDITOR))
    assert send(ann, "/projects/", {"name": "one"}, "k", colleague).json()["id"] != first
    with scope(ann.workspace.id):
        IdempotencyKey.objects.update(created_at=Now() - KEPT - timedelta(seconds=1))
    assert send(ann, "/projects/", {"name": "one"}, "k").json()["id"] != first


@pytest.mark.django_db
def test_a_request_that_is_refused_leaves_its_key_free(ann: Any) -> None:
    bad = {"graph": str(ann.graph.pk), "ticks": 0}
    assert send(ann, "/runs/", bad, "k").status_code == 422
    assert send(ann, "/runs/", {**bad, "ticks": 10}, "k").status_code == 201


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * (MAX_LENGTH + 1), "a\tb"])
def test_what_is_no_key_is_refused(ann: Any, key: str) -> None:
    before = count(ann, Project)
    answer = send(ann, "/projects/", {"name": "one"}, key)
    assert answer.status_code == 400
    assert answer.json()["problems"][0]["place"] == "Idempotency-Key"
    assert count(ann, Project) == before


@pytest.mark.django_db(transaction=True)
def test_of_many_requests_at_once_one_takes_hold(ann: Any, at_once: Any) -> None:
    body = {"graph": str(ann.graph.pk), "ticks": 10}
    clients = [client_of(ann.user) for _ in range(8)]
    answers = at_once(lambda number: send(ann, "/runs/", body, "k", clients[number]), 8)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert count(ann, Run) == 1
