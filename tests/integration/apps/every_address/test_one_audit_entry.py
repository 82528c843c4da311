"""Every address that writes leaves exactly one entry in the audit log, which says who, what, and by which request."""

from typing import Any

import pytest
from addresses import API, PAGES, Place, send

from apps.workspaces.models import AuditEvent
from apps.workspaces.scope import scope

OWNED = {**API, **PAGES}
WRITES = sorted(one for one, row in OWNED.items() if row.writes and row.owner < 400)


def entries(place: Place) -> dict[Any, AuditEvent]:
    with scope(place.tenant.workspace.pk):
        return {one.pk: one for one in AuditEvent.objects.all()}


def test_there_are_writes() -> None:
    assert len(WRITES) > 50


@pytest.mark.parametrize(("name", "method"), WRITES)
def test_a_write_leaves_one_entry(place: Place, name: str, method: str) -> None:
    before = entries(place)
    response = send(place.clients["owner"], place, name, method, OWNED[name, method])
    assert response.status_code == OWNED[name, method].owner
    written = [one for pk, one in entries(place).items() if pk not in before]
    # A small export is written while one waits, by who writes the large ones later: the system.
    if name == "api-run-exports":
        assert [one.action for one in written if one.actor_id is None] == ["artifact.export"]
        written = [one for one in written if one.actor_id is not None]
    (entry,) = written
    assert entry.actor_id == place.tenant.user.pk
    assert entry.request_id == response.headers["X-Request-ID"]
    assert entry.object_id
    assert entry.before != entry.after
    for digest in {entry.before, entry.after} - {""}:
        assert len(bytes.fromhex(digest)) == 32


@pytest.mark.parametrize(("name", "method"), WRITES)
def test_a_write_that_is_refused_leaves_none(place: Place, name: str, method: str) -> None:
    before = entries(place)
    send(place.clients["viewer"], place, name, method, OWNED[name, method])
    assert entries(place) == before
