"""How many queries each address that is read takes: no more than the baseline, and no more for many rows than for few.

`WRITE_QUERY_COUNTS=1 pytest` on this file writes `query_counts.json` anew.
"""

import json
import os
from pathlib import Path
from typing import Any

from addresses import API, OPEN_API, ROUTES, Place, fill, send
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from django.utils import timezone

from apps.accounts.models import User
from apps.presets.models import Preset
from apps.projects.services import add_version, create_graph, create_project
from apps.runs.models import Artifact, Export, RunAttempt, RunCheckpoint, RunEvent, RunPoint
from apps.sharing.services import share
from apps.webhooks.models import EVENTS, Webhook
from apps.webhooks.services import ping
from apps.workspaces.invitations import invite
from apps.workspaces.keys import create_key
from apps.workspaces.members import add_member
from apps.workspaces.models import Role
from apps.workspaces.scope import scope

BASELINE = Path(__file__).with_name("query_counts.json")
ROWS = 20
READ = sorted(name for name, method in {**API, **OPEN_API} if method == "get")
NOT_GROWN = {"api-workspaces", "api-run-events"}
"""Lists that are not paged, or of which there is one row a person."""


def counts(place: Place) -> dict[str, int]:
    """Queries of each address; asked twice, because the first time something is put into a cache."""
    found = {}
    for name in READ:
        row = {**API, **OPEN_API}[name, "get"]
        for _ in range(2):
            with CaptureQueriesContext(connection) as queries:
                answer = send(place.tenant.client, place, name, "get", row)
            assert answer.status_code == row.owner
        found[name] = len(queries)
    return found


def grow(place: Place) -> None:
    """Some twenty more of everything."""
    ann, over = place.tenant, place.over
    spec = {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16, "coupling": 0.1}}], "edges": []}
    for number in range(ROWS):
        create_project(ann.user, ann.workspace, f"p{number}")
        create_graph(ann.user, ann.workspace, ann.project, f"g{number}", spec)
        spec["nodes"][0]["params"]["coupling"] = number / 100
        add_version(ann.user, ann.workspace, ann.graph, spec)
        ann.submit()
        Preset.objects.create(
            id=f"p{number}", version=1, title="P", category="x", summary="x", content_hash="x", document={}
        )
        own: dict[str, Any] = {"workspace_id": ann.workspace.pk, "run_id": over.pk}
        now = timezone.now()
        with scope(ann.workspace.id):
            RunAttempt.objects.create(**own, number=50 + number, worker="w", heartbeat_at=now, lease_expires_at=now)
            RunCheckpoint.objects.create(**own, content=f"{number:064x}", attempt=1, tick=number, size=1)
            RunEvent.objects.create(**own, seq=50 + number, kind="log")
            RunPoint.objects.create(
                workspace_id=ann.workspace.pk, run_id=place.ids["swept"], index=50 + number, state="succeeded",
                params={}, seed=1,
            )  # fmt: skip
            made = Artifact.objects.create(
                workspace_id=ann.workspace.pk, run=over, kind="export", name="x", media_type="x", size=1,
                content=f"{number:064x}",
            )  # fmt: skip
            Export.objects.create(
                workspace_id=ann.workspace.pk, run=over, format="csv", state="succeeded", artifact=made
            )
            Webhook.objects.create(workspace_id=ann.workspace.pk, url="https://example.org/", events=EVENTS)
        create_key(ann.user, ann.workspace, f"k{number}")
        invite(ann.user, ann.workspace, f"i{number}@example.org", "viewer", str)
        share(ann.user, over)
        user = User.objects.create_user(f"m{number}@example.org")
        add_member(ann.user, ann.workspace, user, Role.VIEWER)
        ping(ann.user, ann.workspace, place.ids["webhook_id"])


def test_no_address_takes_more_queries_than_before_or_for_more_rows(place: Place, settings: Any) -> None:
    quotas = settings.ATTRACTOR.quotas.model_copy(update={"active_runs": 100, "memory": 2**40})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})
    few = counts(place)
    grow(place)
    many = counts(place)
    assert many == few, {name: (few[name], many[name]) for name in few if few[name] != many[name]}
    if os.environ.get("WRITE_QUERY_COUNTS"):
        BASELINE.write_text(json.dumps(many, indent=2) + "\n", encoding="utf-8")
    allowed = json.loads(BASELINE.read_text(encoding="utf-8"))
    assert allowed.keys() == many.keys(), "write the baseline anew: see the top of this file"
    worse = {name: f"{many[name]} queries in place of {allowed[name]}" for name in many if many[name] > allowed[name]}
    assert not worse


def test_the_lists_have_grown(place: Place, settings: Any) -> None:
    """Else nothing would be compared above."""
    quotas = settings.ATTRACTOR.quotas.model_copy(update={"active_runs": 100, "memory": 2**40})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})
    grow(place)
    lists = 0
    for name in READ:
        view = resolve(fill(name, place.ids)).func
        if getattr(getattr(view, "cls", None), "pagination_class", None) is None or name in NOT_GROWN:
            continue
        row = {**API, **OPEN_API}[name, "get"]
        assert len(send(place.tenant.client, place, name, "get", row).json()["results"]) >= ROWS, ROUTES[name]
        lists += 1
    assert lists >= 6
