"""People with a workspace each, graphs small enough to be checked in a millisecond, and runs that have ended."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.test import Client
from row_copy import RowCopy

from apps.accounts.models import User
from apps.accounts.services import register
from apps.projects.models import Graph, Project
from apps.projects.services import create_graph
from apps.runs import files, recordings, services
from apps.runs.models import Run, RunAttempt
from apps.workspaces.members import add_member
from apps.workspaces.models import Role, Workspace
from apps.workspaces.scope import scope
from apps.workspaces.selectors import workspaces_of

PASSWORD = "correct horse battery staple"


def array_spec(**params: Any) -> dict[str, Any]:
    """One oscillator array."""
    return {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16, **params}}], "edges": []}


@dataclass
class Tenant:
    """A person with a workspace, a project and a graph."""

    user: User
    workspace: Workspace
    project: Project
    graph: Graph
    client: Client

    @property
    def root(self) -> str:
        """Where the workspace's part of the API begins."""
        return f"/api/v1/workspaces/{self.workspace.slug}"

    def submit(self, ticks: int = 1000, seed: int = 7, graph: Graph | None = None, **more: Any) -> Run:
        return services.submit(self.user, self.workspace, graph or self.graph, seed=seed, ticks=ticks, **more)

    def look(self, run: Run) -> Run:
        """The run's row now."""
        with scope(self.workspace.id):
            return Run.objects.get(pk=run.pk)

    def post(self, path: str, body: Any) -> Any:
        return self.client.post(f"{self.root}{path}", body, content_type="application/json")

    def get(self, path: str) -> Any:
        return self.client.get(f"{self.root}{path}")


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


_made: dict[str, RowCopy] = {}


def make_tenant(name: str) -> Tenant:
    if name not in _made:
        user = register(f"{name}@example.org", PASSWORD, name.title())
        (workspace,) = workspaces_of(user)
        with scope(workspace.id):
            project = Project.objects.get()
        graph = create_graph(user, workspace, project, "array", array_spec())
        _made[name] = RowCopy.of(workspace.id, user.pk, workspace.slug)
    else:
        workspace_id, user_id = _made[name].insert()
        user = User.objects.get(pk=user_id)
        with scope(workspace_id):
            workspace, project, graph = Workspace.objects.get(), Project.objects.get(), Graph.objects.get()
    return Tenant(user, workspace, project, graph, logged_in(user))


def record(attempt: RunAttempt, folder: Path, ticks: int = 1000, cuts: int = 2) -> None:
    """Have an attempt record the first ticks of its run as a worker does, in so many segments."""
    from attractor import GraphSpec, Plan, Session
    from attractor.recording.column import columns
    from attractor.recording.recorder import Recorder

    with scope(attempt.workspace_id):
        run = Run.objects.select_related("graph_version").get(pk=attempt.run_id)
    plan = Plan.of(GraphSpec.parse(run.graph_version.spec))
    found = columns(plan, [(one["node"], one["port"], one["every"]) for one in run.recording])
    session = Session(plan, run.seed, ticks, -(-ticks // cuts), tier="eager")
    for one in found:
        session.record(one.node, one.port, one.every)
    recorder = Recorder(found, {"tick_seconds": plan.clock.tick_seconds, "ticks": run.ticks, "seed": run.seed})
    for report in session:
        recorder.take(report.recorded, report.tick)
        segment = recorder.cut(folder)
        assert segment is not None
        files.put(files.segment(run.workspace_id, run.pk, segment.content), segment.path)
        stored = recordings.StoredSegment(
            segment.content, segment.first, segment.until, segment.size, segment.last, segment.raw
        )
        assert recordings.record_segment(attempt, stored)


def end_run(tenant: Tenant, folder: Path, ticks: int = 100, gathered: bool = True, **more: Any) -> Run:
    """A run that has recorded and succeeded; its recording is put together, unless told otherwise."""
    run = tenant.submit(ticks=ticks, **more)
    with scope(tenant.workspace.id):
        attempt = services.claim(run.pk, "w")
    record(attempt, folder / str(run.pk), ticks)
    services.finish(attempt, "succeeded", tick=ticks, result={"answer": 42}, result_hash="h")
    if gathered:
        recordings.gather(tenant.workspace.id, run.pk)
    return tenant.look(run)


def join(tenant: Tenant, role: Role) -> User:
    """Somebody new with a role in the tenant's workspace."""
    user = register(f"{role.value}@{tenant.workspace.slug}.example.org", PASSWORD)
    add_member(tenant.user, tenant.workspace, user, role)
    return user
