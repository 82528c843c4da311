"""Every address that writes leaves exactly one entry in the audit log, which says who, what, and by which request."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from addresses import OF_PERSON, ROUTES, Place, fill, send
from done_writes import MAKES, NOTHING_WRITTEN, READY, ROWS, WRITES, actor_of, client_of, row_of
from test_foreign_workspace import offered

from apps.workspaces.models import AuditEvent
from apps.workspaces.scope import scope
from apps.workspaces.selectors import workspaces_of

ANYBODYS = MAKES | {("api-leave", "post"), ("web:leave", "post")}
"""What every person may: it is refused to who is not signed in."""


def entries(place: Place) -> dict[Any, AuditEvent]:
    """Of both workspaces of the place, and of those that were made."""
    found: dict[Any, AuditEvent] = {}
    ids = {one.workspace.pk for one in (place.tenant, place.stranger)}
    for one in (place.tenant, place.stranger):
        ids |= {workspace.pk for workspace in workspaces_of(one.user)}
    for workspace_id in ids:
        with scope(workspace_id):
            found |= {one.pk: one for one in AuditEvent.objects.all()}
    return found


def test_no_write_is_left_out(place: Place) -> None:
    """Of what the API offers, and of what pages say that they take."""
    ids = {**place.ids, "token": "x", "banner_id": uuid4()}
    sent = {one for one in offered() if one[1] != "get"}
    # Pages of one's own account write to the account, which has a log of its own.
    for name in sorted(ROUTES):
        if name.startswith("web:") and name not in OF_PERSON:
            allowed = place.clients["owner"].generic("BREW", fill(name, ids)).headers["Allow"].lower().split(", ")
            sent |= {(name, method) for method in set(allowed) - {"get", "head", "options"}}
    assert sent == set(WRITES) | set(NOTHING_WRITTEN)
    assert set(READY) <= set(WRITES)


@pytest.mark.parametrize(("name", "method"), sorted(set(NOTHING_WRITTEN) & set(ROWS)))
def test_what_only_looks_leaves_none(place: Place, name: str, method: str) -> None:
    before = entries(place)
    assert send(place.clients["owner"], place, name, method, ROWS[name, method]).status_code == 200
    assert entries(place).keys() == before.keys()


@pytest.mark.parametrize(("name", "method"), WRITES)
def test_a_write_leaves_one_entry(place: Place, tmp_path: Path, name: str, method: str) -> None:
    row = row_of(place, tmp_path, name, method)
    before = entries(place)
    response = send(place.clients[client_of(place, name, method)], place, name, method, row)
    assert response.status_code == row.owner < 400, response.content
    written = [one for pk, one in entries(place).items() if pk not in before]
    # A small export is written while one waits, by who writes the large ones later: the system.
    if name == "api-run-exports":
        assert [one.action for one in written if one.actor_id is None] == ["artifact.export"]
        written = [one for one in written if one.actor_id is not None]
    (entry,) = written
    assert entry.actor_id == actor_of(place, name, method).pk
    assert entry.request_id == response.headers["X-Request-ID"]
    assert entry.object_id
    assert entry.before != entry.after
    for digest in {entry.before, entry.after} - {""}:
        assert len(bytes.fromhex(digest)) == 32


@pytest.mark.parametrize(("name", "method"), WRITES)
def test_a_write_that_is_refused_leaves_none(place: Place, tmp_path: Path, name: str, method: str) -> None:
    row = row_of(place, tmp_path, name, method)
    before = entries(place)
    who = "nobody" if (name, method) in ANYBODYS else "viewer"
    response = send(place.clients[who], place, name, method, row)
    assert response.status_code in ((302, 401) if who == "nobody" else (403, 404, 409)), response.content
    assert entries(place) == before
