"""Every address of the site, how to fill its path and body, and what its workspace's owner is answered.

`test_every_address_has_a_row` compares the rows with the URL configuration, so that a new one cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from apps.runs.models import Run
from apps.workspaces.models import Workspace
from apps.workspaces.rows import WorkspaceModel
from apps.workspaces.scope import scope

SPEC: dict[str, Any] = {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16}}], "edges": []}

# The design of a sweep and of a fit as their services and the API take them.
SWEEP: dict[str, Any] = {"axes": [{"target": "osc.coupling", "values": [0.1, 0.2]}], "sampling": "grid"}
FIT: dict[str, Any] = {
    "params": [{"target": "osc.coupling"}], "loss": {"port": "osc.sync", "target": 0.5, "start": 0},
    "iterations": 2, "rate": 0.02,
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A workspace with one of everything, and clients of everybody.

    `ids` fill the paths of addresses; `over` is a run that has ended, `running` one that a worker has. The stranger
    has a workspace of the own. `shared` is the token of a link to `over`.
    """

    tenant: Any
    stranger: Any
    over: Run
    running: Run
    ids: Mapping[str, Any]
    clients: Mapping[str, Client]
    shared: str = ""


@dataclass(frozen=True)
class Row:
    """One method of one address.

    Attributes:
        owner: the status that the workspace's owner gets.
        body: of the request, made from the place; JSON for the API, fields of a form for a page.
        writes: whether it changes rows, which a viewer may not.
        managers: whether a viewer may not even look.
        viewer: the status that a viewer gets where neither of these says it.
        ids: what fills the path, where it differs from the place's ids.
        headers: of the request, made from the place.
        query: of the address, made from the place.
        media: type of the body, of the API.
    """

    owner: int = 200
    body: Callable[[Place], Any] = lambda _: {}
    writes: bool = False
    managers: bool = False
    viewer: int | None = None
    ids: Callable[[Place], Mapping[str, Any]] = lambda _: {}
    headers: Callable[[Place], dict[str, str]] = field(default=lambda _: {})
    query: Callable[[Place], dict[str, str]] = field(default=lambda _: {})
    media: str = "application/json"


def command(status: int = 202, body: Callable[[Place], Any] = lambda _: {}) -> Row:
    """Something told to the run that a worker has."""
    return Row(status, body, writes=True, ids=lambda place: {"run_id": place.running.pk})


def edit(status: int = 200, body: Callable[[Place], Any] = lambda _: {}) -> Row:
    """A change of what is there, whatever state it is in."""
    return Row(status, body, writes=True, headers=lambda _: {"If-Match": "*"})


def compared(place: Place) -> dict[str, str]:
    """The runs of the place that are compared."""
    return {"runs": f"{place.over.pk},{place.running.pk}"}


GUEST = {"email": "guest@example.org", "role": "editor"}
HOOK = {"url": "https://example.org/new", "events": ["run.failed"]}

API: dict[tuple[str, str], Row] = {
    ("api-workspace", "get"): Row(),
    ("api-workspace", "patch"): edit(200, lambda _: {"name": "renamed", "new_address": True}),
    ("api-workspace", "delete"): edit(202),
    # It is not being deleted: the owner is refused for that, all others for who they are.
    ("api-workspace-restore", "post"): Row(409, writes=True),
    # Ann is the last owner.
    ("api-leave", "post"): Row(409, writes=True, viewer=204),
    ("api-transfer", "post"): Row(200, lambda place: {"member": str(place.ids["member_id"])}, writes=True),
    ("api-members", "get"): Row(),
    ("api-member", "get"): Row(),
    ("api-member", "patch"): edit(200, lambda _: {"role": "editor"}),
    ("api-member", "delete"): edit(204),
    ("api-invitations", "get"): Row(managers=True),
    ("api-invitations", "post"): Row(201, lambda _: GUEST, writes=True, managers=True),
    ("api-invitation-resend", "post"): Row(202, writes=True, managers=True),
    ("api-invitation-revoke", "post"): Row(204, writes=True, managers=True),
    ("api-audit", "get"): Row(managers=True),
    ("api-audit-export", "get"): Row(managers=True),
    ("api-shares", "get"): Row(),
    ("api-shares", "post"): Row(201, lambda place: {"run": str(place.over.pk)}, writes=True),
    ("api-share-revoke", "post"): Row(204, writes=True),
    ("api-usage", "get"): Row(),
    ("api-projects", "get"): Row(),
    ("api-projects", "post"): Row(201, lambda _: {"name": "new"}, writes=True),
    ("api-graphs", "get"): Row(),
    ("api-graphs", "post"): Row(
        201, lambda place: {"project": str(place.tenant.project.pk), "name": "new", "spec": SPEC}, writes=True
    ),
    ("api-project", "get"): Row(),
    ("api-project", "patch"): edit(200, lambda _: {"name": "renamed"}),
    ("api-project", "delete"): edit(204),
    ("api-graph-check", "post"): Row(200, lambda _: {"spec": SPEC}),
    ("api-graph", "get"): Row(),
    ("api-graph", "put"): edit(200, lambda _: {"name": "renamed", "spec": SPEC}),
    ("api-graph", "patch"): edit(200, lambda _: {"archived": True}),
    ("api-graph", "delete"): edit(204),
    ("api-graph-versions", "get"): Row(),
    ("api-graph-version", "get"): Row(),
    ("api-graph-diff", "get"): Row(),
    ("api-graph-restore", "post"): edit(),
    ("api-runs", "get"): Row(),
    ("api-runs", "post"): Row(
        201, lambda place: {"graph": str(place.tenant.graph.pk), "seed": 1, "ticks": 10}, writes=True
    ),
    ("api-runs-cancel", "post"): Row(202, lambda place: {"runs": [str(place.running.pk)]}, writes=True),
    ("api-runs-compare", "get"): Row(query=compared),
    ("api-runs-curves", "get"): Row(query=lambda place: {**compared(place), "name": "osc.x"}),
    ("api-runs-series", "get"): Row(query=lambda place: {**compared(place), "port": "osc.sync"}),
    ("api-run", "get"): Row(),
    ("api-run-events", "get"): Row(),
    ("api-run-attempts", "get"): Row(),
    ("api-run-checkpoints", "get"): Row(),
    ("api-run-result", "get"): Row(),
    ("api-run-cancel", "post"): command(),
    ("api-run-pause", "post"): command(),
    ("api-run-resume", "post"): command(),
    ("api-run-controls", "post"): command(202, lambda _: {"target": "osc.coupling", "value": 0.1}),
    # The graph has no trigger: the owner is refused for what was sent, all others for who they are.
    ("api-run-triggers", "post"): command(422, lambda _: {"target": "osc.nothing"}),
    ("api-sweeps", "post"): Row(
        201, lambda place: {"graph": str(place.tenant.graph.pk), "ticks": 10, **SWEEP}, writes=True
    ),
    ("api-fits", "post"): Row(
        201, lambda place: {"graph": str(place.tenant.graph.pk), "ticks": 10, **FIT}, writes=True
    ),
    ("api-run-points", "get"): Row(ids=lambda place: {"run_id": place.ids["swept"]}),
    ("api-run-rerun", "post"): Row(201, writes=True, ids=lambda place: {"run_id": place.ids["swept"]}),
    ("api-run-manifest", "get"): Row(),
    ("api-run-reproducibility", "get"): Row(),
    ("api-run-reproduce", "post"): Row(201, writes=True, ids=lambda place: {"run_id": place.ids["reproducible"]}),
    ("api-run-verdict", "get"): Row(ids=lambda place: {"run_id": place.ids["reproduction"]}),
    ("api-run-apply", "post"): Row(201, writes=True, ids=lambda place: {"run_id": place.ids["fitted"]}),
    ("api-run-formats", "get"): Row(),
    ("api-run-exports", "get"): Row(),
    ("api-run-exports", "post"): Row(201, lambda _: {"format": "npz"}, writes=True),
    ("api-run-recording", "get"): Row(),
    # It was not given up: the owner is refused for that, all others for who they are.
    ("api-run-recording-retry", "post"): Row(409, writes=True),
    ("api-export", "get"): Row(),
    ("api-export-cancel", "post"): Row(200, writes=True),
    ("api-artifacts", "get"): Row(),
    ("api-artifact", "get"): Row(),
    ("api-artifact", "delete"): edit(204),
    ("api-artifact-content", "get"): Row(),
    # A file has a name: the owner is refused for what was sent, all others for who they are.
    ("api-imports", "post"): Row(400, lambda _: b"x", writes=True),
    ("api-retention", "get"): Row(),
    ("api-retention", "put"): edit(200, lambda _: {"artifact_days": 9, "checkpoint_days": 0}),
    ("api-workspace-security", "get"): Row(),
    ("api-workspace-security", "put"): edit(200, lambda _: {"require_mfa": False}),
    ("api-keys", "get"): Row(),
    ("api-keys", "post"): Row(201, lambda _: {"name": "new"}, writes=True),
    ("api-key-rotate", "post"): Row(200, writes=True),
    ("api-key-revoke", "post"): Row(204, writes=True),
    ("api-webhooks", "get"): Row(managers=True),
    ("api-webhooks", "post"): Row(201, lambda _: HOOK, writes=True, managers=True),
    ("api-webhook", "get"): Row(managers=True),
    ("api-webhook", "patch"): edit(200, lambda _: {"active": False}),
    ("api-webhook", "delete"): edit(204),
    ("api-webhook-secret", "post"): Row(201, writes=True, managers=True),
    ("api-webhook-ping", "post"): Row(202, writes=True, managers=True),
    ("api-webhook-deliveries", "get"): Row(managers=True),
    ("api-webhook-delivery", "get"): Row(managers=True),
    ("api-webhook-replay", "post"): Row(202, writes=True, managers=True),
}
"""What belongs to a workspace."""

OPEN_API: dict[tuple[str, str], Row] = {
    ("api-workspaces", "get"): Row(),
    ("api-workspaces", "post"): Row(201, lambda _: {"name": "new"}),
    ("api-invitation-accept", "post"): Row(404, lambda _: {"token": "inv_of_nobody"}),
    ("api-presets", "get"): Row(),
    ("api-preset", "get"): Row(),
    ("api-nodes", "get"): Row(),
    ("api-node", "get"): Row(),
    ("api-me", "get"): Row(),
}
"""What belongs to no workspace, or to whoever asks; it needs a login."""

PAGES: dict[tuple[str, str], Row] = {
    ("web:workspace", "get"): Row(),
    ("web:projects", "get"): Row(),
    ("web:projects", "post"): Row(302, lambda _: {"name": "new"}, writes=True),
    ("web:project", "get"): Row(),
    ("web:graph", "get"): Row(),
    ("web:submit_run", "post"): Row(302, lambda _: {"seed": "1", "ticks": "10"}, writes=True),
    ("web:runs", "get"): Row(),
    ("web:run", "get"): Row(),
    ("web:compare", "get"): Row(),
    ("web:keys", "get"): Row(),
    ("web:keys", "post"): Row(200, lambda _: {"name": "new"}, writes=True),
    ("web:rotate_key", "post"): Row(200, writes=True),
    ("web:revoke_key", "post"): Row(302, writes=True),
    ("web:workspace_security", "get"): Row(managers=True),
    ("web:workspace_security", "post"): Row(302, lambda _: {"require_mfa": "false"}, writes=True, managers=True),
    ("web:settings", "get"): Row(),
    ("web:settings", "post"): Row(302, lambda _: {"name": "renamed", "visibility": "anyone"}, writes=True),
    ("web:set_retention", "post"): Row(302, lambda _: {"artifact_days": "9", "checkpoint_days": "0"}, writes=True),
    ("web:delete_workspace", "get"): Row(managers=True),
    ("web:delete_workspace", "post"): Row(302, lambda place: {"name": place.tenant.workspace.name}, writes=True),
    # Said on the next page: it is not being deleted, and there is no other owner.
    ("web:restore_workspace", "post"): Row(302),
    ("web:leave", "get"): Row(),
    ("web:leave", "post"): Row(302),
    ("web:members", "get"): Row(),
    ("web:members", "post"): Row(302, lambda _: GUEST, writes=True),
    ("web:member", "get"): Row(managers=True),
    ("web:change_role", "post"): Row(302, lambda _: {"role": "editor"}, writes=True),
    ("web:remove_member", "post"): Row(302, writes=True),
    ("web:transfer", "post"): Row(302, writes=True),
    ("web:resend_invitation", "post"): Row(302, writes=True),
    ("web:revoke_invitation", "post"): Row(302, writes=True),
    ("web:usage", "get"): Row(),
    ("web:audit", "get"): Row(managers=True),
    ("web:export_audit", "get"): Row(managers=True),
    ("web:shares", "get"): Row(),
    ("web:shares", "post"): Row(200, lambda place: {"run": str(place.over.pk), "days": "30"}, writes=True),
    ("web:unshare", "post"): Row(302, writes=True),
    ("web:webhooks", "get"): Row(managers=True),
    ("web:webhooks", "post"): Row(302, lambda _: HOOK, writes=True, managers=True),
    ("web:webhook", "get"): Row(managers=True),
    ("web:webhook", "post"): Row(302, lambda _: {**HOOK, "revision": "1"}, writes=True, managers=True),
    ("web:rotate_webhook", "post"): Row(302, writes=True, managers=True),
    ("web:switch_webhook", "post"): Row(302, lambda _: {"active": "false"}, writes=True, managers=True),
    ("web:ping_webhook", "post"): Row(302, writes=True, managers=True),
    ("web:replay_delivery", "post"): Row(302, writes=True, managers=True),
    ("web:delete_webhook", "post"): Row(302, writes=True, managers=True),
    # Its path names no workspace, its form does.
    ("web:use_preset", "post"): Row(
        302, lambda place: {"project": f"{place.tenant.workspace.slug}/{place.tenant.project.pk}"}, writes=True
    ),
}

OF_PERSON = {
    "web:account_security", "web:prove", "web:second_factor", "web:abort_sign_in", "web:enrol_second_factor",
    "web:switch_off_second_factor", "web:renew_recovery_codes", "web:account_profile", "web:export_account",
    "web:delete_account", "web:end_impersonation", "web:account_sessions", "web:end_other_sessions", "web:end_session",
    "web:remove_app", "web:add_passkey", "web:passkey_options", "web:passkey", "web:remove_passkey",
}  # fmt: skip
"""Pages of one's own account: their paths name nobody, so there is none of anybody else."""

OPEN = {
    "schema", "web:landing", "web:theme", "web:gallery", "web:preset", "health-live", "health-ready",
    "web:new_workspace", "web:invitation", "web:shared", "web:notices", "web:dismiss_notice", "security-txt",
}  # fmt: skip
"""What anybody may see, or who has a token."""

# Django's and allauth's own: no model of a workspace is registered there, which a test holds.
FOREIGN_CODE = ("admin/", "accounts/")

TASKS: dict[str, Callable[[Workspace, Place], tuple[Any, ...]]] = {
    "apps.runs.tasks.execute": lambda workspace, place: (str(workspace.pk), str(place.running.pk)),
    "apps.runs.tasks.canary": lambda workspace, place: (),
}
"""Every Celery task, and how a message reads that names a workspace and things of another one."""


def addresses(resolver: URLResolver | None = None, prefix: str = "", space: str = "") -> Iterator[tuple[str, str, Any]]:
    """(route, name, view) of every address of ours."""
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if route.startswith(FOREIGN_CODE):
            continue
        if isinstance(entry, URLPattern):
            yield route, space + (entry.name or ""), entry.callback
        else:
            yield from addresses(entry, route, space + (f"{entry.namespace}:" if entry.namespace else ""))


ROUTES = {name: route for route, name, _ in addresses()}


def fill(name: str, ids: Mapping[str, Any]) -> str:
    """The address of that name, its path filled from `ids`."""
    return reverse(name, kwargs={key: value for key, value in ids.items() if f":{key}>" in ROUTES[name]})


def send(client: Client, place: Place, name: str, method: str, row: Row, ids: Mapping[str, Any] | None = None) -> Any:
    """Ask as that client; `ids` over the place's own."""
    url = fill(name, {**place.ids, **row.ids(place), **(ids or {})})
    if method == "get":
        return client.get(url, row.query(place), headers=row.headers(place))
    return write(client, name, method, url, row.body(place), row, place)


def write(client: Client, name: str, method: str, url: str, body: Any, row: Row, place: Place) -> Any:
    """Send a body to an address: a form to a page, JSON or what the row says to the API."""
    headers = row.headers(place)
    if name.startswith("web:"):
        return client.post(url, body, headers=headers)
    query = urlencode(row.query(place))
    return getattr(client, method)(f"{url}?{query}" if query else url, body, content_type=row.media, headers=headers)


def everything(workspace: Workspace) -> list[Any]:
    """All rows of a workspace, its own too."""
    with scope(workspace.pk):
        return [list(Workspace.objects.filter(pk=workspace.pk).values())] + [
            list(model._default_manager.order_by("pk").values())
            for model in apps.get_models()
            if issubclass(model, WorkspaceModel)
        ]
