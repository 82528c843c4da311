"""Every write that belongs to a workspace or makes one, as a request that is done.

`addresses` says what an owner is answered in a place as it stands, where some writes have nothing to do: nothing is
being deleted, nobody else is an owner, nobody is invited. Here that is seen to first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from addresses import API, OPEN_API, PAGES, Place, Row
from allauth.account.models import EmailAddress
from tenants import end_run, join

from apps.accounts.models import User
from apps.projects.services import create_graph
from apps.runs import services
from apps.runs.models import Gathering
from apps.workspaces import deletion
from apps.workspaces.invitations import invite
from apps.workspaces.models import Role
from apps.workspaces.scope import scope

OWNED: dict[tuple[str, str], Row] = {**API, **PAGES}
ABOUT_ONE: dict[tuple[str, str], Row] = {
    **{one: row for one, row in OPEN_API.items() if one[1] != "get"},
    ("web:new_workspace", "post"): Row(302, lambda _: {"name": "new"}),
    ("web:invitation", "post"): Row(302, ids=lambda _: {"token": "inv_of_nobody"}),
}
"""What makes a workspace or lets somebody into one: their paths name none."""
ROWS: dict[tuple[str, str], Row] = {**OWNED, **ABOUT_ONE}

NOTHING_WRITTEN = {
    ("api-graph-check", "post"): "it looks at a graph that is sent",
    ("web:theme", "post"): "it sets a cookie",
    ("web:dismiss_notice", "post"): "it sets a cookie",
}
"""What is sent and writes no row."""

WRITES = sorted(one for one in ROWS if one[1] != "get" and one not in NOTHING_WRITTEN)
MAKES = {("api-workspaces", "post"), ("web:new_workspace", "post")}
"""What is written belongs to a workspace that was not there before."""
ACCEPTS = {("api-invitation-accept", "post"), ("web:invitation", "post")}
"""The stranger does it, who is invited."""

# The smallest graph with a trigger that nothing is connected to.
LEARNING: dict[str, Any] = {
    "nodes": [
        {"id": "ising", "kind": "ebm.ising", "params": {"N": 4, "chains": 4, "sweeps": 1}},
        {"id": "fit", "kind": "ebm.train_moments", "params": {"least": 16}},
    ],
    "edges": [{"src": "ising.spins", "dst": "fit.data"}],
}


def _closing(place: Place, folder: Path) -> None:
    deletion.close(place.tenant.user, place.tenant.workspace)


def _another_owner(place: Place, folder: Path) -> None:
    join(place.tenant, Role.OWNER)


def _learning(place: Place, folder: Path) -> dict[str, Any]:
    ann = place.tenant
    graph = create_graph(ann.user, ann.workspace, ann.project, "learning", LEARNING)
    run = ann.submit(ticks=10, graph=graph)
    with scope(ann.workspace.id):
        services.claim(run.pk, "w")
    return {"run_id": run.pk}


def _given_up(place: Place, folder: Path) -> dict[str, Any]:
    run = end_run(place.tenant, folder, gathered=False)
    error = {"code": "recording_failed", "message": "It was given up.", "mend": "Try it again."}
    with scope(place.tenant.workspace.id):
        assert Gathering.objects.filter(run=run).update(error=error)
    return {"run_id": run.pk}


def _invited(place: Place, folder: Path) -> str:
    guest, tokens = place.stranger.user, list[str]()
    EmailAddress.objects.get_or_create(user=guest, email=guest.email, verified=True, primary=True)

    def link(token: str) -> str:
        tokens.append(token)
        return token

    invite(place.tenant.user, place.tenant.workspace, guest.email, "editor", link)
    return tokens[0]


def _with(status: int, ready: Callable[[Place, Path], Any], row: Row, **more: Any) -> Callable[[Place, Path], Row]:
    """The row once that is done, which may tell the ids that fill its path."""

    def made(place: Place, folder: Path) -> Row:
        ids = ready(place, folder)
        named = {"ids": lambda _: ids} if ids else {}
        return replace(row, owner=status, **named, **more)

    return made


READY: dict[tuple[str, str], Callable[[Place, Path], Row]] = {
    ("api-workspace-restore", "post"): _with(200, _closing, API["api-workspace-restore", "post"]),
    ("web:restore_workspace", "post"): _with(302, _closing, PAGES["web:restore_workspace", "post"]),
    ("api-leave", "post"): _with(204, _another_owner, API["api-leave", "post"]),
    ("web:leave", "post"): _with(302, _another_owner, PAGES["web:leave", "post"]),
    ("api-run-triggers", "post"): _with(
        202, _learning, API["api-run-triggers", "post"], body=lambda _: {"target": "fit.trigger"}
    ),
    ("api-run-recording-retry", "post"): _with(202, _given_up, API["api-run-recording-retry", "post"]),
    ("api-imports", "post"): lambda place, folder: replace(
        API["api-imports", "post"], owner=201, body=lambda _: b"t,x\n0,1\n1,2\n", media="application/octet-stream",
        query=lambda _: {"name": "x.csv"},
    ),
    ("api-invitation-accept", "post"): lambda place, folder: _accepting(200, "body", _invited(place, folder)),
    ("web:invitation", "post"): lambda place, folder: _accepting(302, "ids", _invited(place, folder)),
}  # fmt: skip


def _accepting(status: int, where: str, token: str) -> Row:
    told = {where: lambda _: {"token": token}}
    return Row(status, **told)


def row_of(place: Place, folder: Path, name: str, method: str) -> Row:
    """The request that is done; what it needs is made in the place."""
    made = READY.get((name, method))
    return ROWS[name, method] if made is None else made(place, folder)


def client_of(place: Place, name: str, method: str) -> str:
    """Whose browser asks, of the place's."""
    return "stranger" if (name, method) in ACCEPTS else "owner"


def actor_of(place: Place, name: str, method: str) -> User:
    """Who that is."""
    user: User = (place.stranger if (name, method) in ACCEPTS else place.tenant).user
    return user
