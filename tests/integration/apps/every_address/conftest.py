"""A workspace with one of everything, and somebody who does not belong to it."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest
from addresses import FIT, SPEC, SWEEP, Place
from django.db import connection
from django.test import Client
from row_changes import taken_back
from tenants import end_run, join, make_tenant

from apps.presets.models import Preset
from apps.projects.services import add_version
from apps.runs import artifacts, exports, fits, points, selectors, services, sweeps
from apps.runs.failure import Failure
from apps.runs.reproductions import reproduce
from apps.sharing.services import share
from apps.webhooks.models import EVENTS
from apps.webhooks.services import create_webhook, ping
from apps.workspaces.invitations import invite
from apps.workspaces.keys import create_key
from apps.workspaces.models import Membership, Role
from apps.workspaces.scope import scope
from config.launch import front_end


@pytest.fixture(scope="module", autouse=True)
def untraced() -> Iterator[None]:
    """No coverage is measured here: these tests go over everything many times, which takes twice as long when it is
    traced, and what they come by has tests of its own that are."""
    measured = coverage.Coverage.current()
    if measured is not None:
        measured.stop()
    yield
    if measured is not None:
        measured.start()


@pytest.fixture(scope="session", autouse=True)
def built_front_end() -> None:
    """Pages need its manifest."""
    front_end.build()


def make_place(folder: Path) -> Place:
    """Ann's workspace; bob is the stranger."""
    ann, bob = make_tenant("ann"), make_tenant("bob")
    Preset.objects.create(
        id="p", version=1, title="P", category="x", summary="x", content_hash="x", document={"graph": SPEC}
    )
    # A second version, so that the first is another one.
    titled = {**SPEC, "nodes": [{**SPEC["nodes"][0], "title": "x"}]}
    add_version(ann.user, ann.workspace, ann.graph, titled)
    over, running = end_run(ann, folder), ann.submit()
    with scope(ann.workspace.id):
        services.claim(running.pk, "w")
        swept = sweeps.submit_sweep(ann.user, ann.workspace, ann.graph, SWEEP, 1, 10)
        holding = services.claim(swept.pk, "w")
        error = Failure("diverged", "It diverged.", "Make dt smaller.", "osc", 3).as_dict()
        points.record_points(holding, [points.DonePoint(0, {"osc.coupling": 0.1}, 1, error=error)])
        services.finish(holding, "succeeded", result={"points": {}}, result_hash="h")
        fitted = fits.submit_fit(ann.user, ann.workspace, ann.graph, FIT, 1, 10)
        found = {"fit": {"params": {"osc.coupling": 0.25}}}
        services.finish(services.claim(fitted.pk, "w"), "succeeded", result=found, result_hash="h")
        manifest = {"tier": "eager", "control_log": []}
        reproducible = ann.submit(ticks=10)
        services.finish(
            services.claim(reproducible.pk, "w"), "succeeded", result={}, result_hash="h", manifest=manifest
        )
        reproduction = reproduce(ann.user, selectors.run(ann.workspace, reproducible.pk))
        # Nothing may wait here for a worker: a task that is told anything takes what waits.
        services.claim(reproduction.pk, "w")
    export = exports.submit_export(ann.user, over, "csv")
    with scope(ann.workspace.id):
        recording = artifacts.recording_of(over)
    hook, _ = create_webhook(ann.user, ann.workspace, "https://example.org/", EVENTS)
    viewer = Client()
    viewer.force_login(looking := join(ann, Role.VIEWER))
    invited = invite(ann.user, ann.workspace, "invited@example.org", "viewer", str)
    link, token = share(ann.user, over)
    with scope(ann.workspace.id):
        member = Membership.objects.get(user=looking)
    return Place(
        tenant=ann,
        stranger=bob,
        over=over,
        running=running,
        ids={
            "slug": ann.workspace.slug,
            "project_id": ann.project.pk,
            "graph_id": ann.graph.pk,
            "run_id": over.pk,
            "preset_id": "p",
            "number": 1,
            "swept": swept.pk,
            "fitted": fitted.pk,
            "reproducible": reproducible.pk,
            "reproduction": reproduction.pk,
            "key_id": create_key(ann.user, ann.workspace, "of Ann")[0].pk,
            "member_id": member.pk,
            "invitation_id": invited.pk,
            "link_id": link.pk,
            "webhook_id": hook.pk,
            "delivery_id": ping(ann.user, ann.workspace, hook.pk).pk,
            "kind": "osc.array",
            "artifact_id": recording.pk,
            "export_id": export.pk,
        },
        shared=token,
        clients={"nobody": Client(), "stranger": bob.client, "viewer": viewer, "owner": ann.client},
    )


@pytest.fixture(scope="module")
def standing_place(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Made once for a module, in a transaction that nobody else sees and that is taken back at the end."""
    with django_db_blocker.unblock(), taken_back():
        yield make_place(tmp_path_factory.mktemp("place"))


@pytest.fixture
def place(standing_place: Place) -> Iterator[Place]:
    """The place as it was made: what a test changes in it is taken back. Without `django_db`, whose own transaction
    would close the connection that the place is made on."""
    clients = {id(client): _same(client) for client in {*standing_place.clients.values(), standing_place.tenant.client}}
    with taken_back():
        yield copy.deepcopy(standing_place, clients)
        connection.check_constraints()


def _same(client: Client) -> Client:
    """Another client with the same cookies."""
    again = Client()
    again.cookies = copy.deepcopy(client.cookies)
    return again


@pytest.fixture
def committed_place(transactional_db: None, tmp_path: Path) -> Place:
    """For what works on other threads and connections: these see committed rows only."""
    return make_place(tmp_path)


@pytest.fixture
def ann(place: Place) -> Any:
    return place.tenant


@pytest.fixture
def bob(place: Place) -> Any:
    return place.stranger


@pytest.fixture
def member_of(place: Place) -> Callable[..., Any]:
    return join
