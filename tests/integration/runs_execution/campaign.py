"""Mixed runs under way while things break: no run may be lost, doubled or changed by it."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from run_processes import LEASE, Program, Tenant, program, started_worker

from apps.ops.refusal import Refusal
from apps.runs.models import Run, RunAttempt, RunCommand
from apps.workspaces.scope import scope
from attractor import GraphSpec, Plan, Session
from attractor.control import ControlChange

ENV = {"ATTRACTOR__RUNS__CHECKPOINT": "0.5", "ATTRACTOR__RUNS__ATTEMPTS": "1000"}
GRAPHS: dict[str, tuple[list[Any], list[Any]]] = {
    "oscillators": ([{"id": "osc", "kind": "osc.array", "params": {"cell": "lorenz", "N": 16, "noise": 0.1}}], []),
    "samples": ([{"id": "model", "kind": "ebm.ising", "params": {"N": 64, "graph": "sparse_k"}}], []),
    "loop": (
        [
            {"id": "field", "kind": "ebm.gaussian", "params": {"N": 6, "method": "gibbs", "graph": "random"}},
            {"id": "array", "kind": "osc.array", "params": {"cell": "chua", "N": 6, "coupling": 0.2}},
        ],
        [{"src": "array.sync", "dst": "array.coupling_mod", "delay": 1, "init": 0}],
    ),
}  # fmt: skip
CONTROLS = {"oscillators": "osc.coupling", "loop": "array.coupling"}
SEED = 1
TICKS = {"oscillators": 3000, "samples": 2000, "loop": 1500}


class Campaign:
    """Runs of three kinds of graphs, submitted, told and held to what they would have been.

    Args:
        seed: of the moments at which things happen.
        folder: for the workers' logs.
    """

    def __init__(self, tenant: Tenant, folder: Path, eventually: Callable[..., None], seed: int, **env: str) -> None:
        self.rng = random.Random(seed)
        self._tenant = tenant
        self._folder = folder
        self._eventually = eventually
        self._env = {**ENV, **env}
        self._specs = {name: {"nodes": nodes, "edges": edges} for name, (nodes, edges) in GRAPHS.items()}
        self._graphs = {name: tenant.graph_of_spec(name, spec) for name, spec in self._specs.items()}
        self._runs: list[tuple[Run, str]] = []
        self._cancelled: set[Any] = set()
        self._workers: list[contextlib.AbstractContextManager[Program]] = []
        self._number = 0
        self.living: list[Program] = []
        self.commands = 0

    @contextlib.contextmanager
    def under_way(self, workers: int = 2) -> Iterator[None]:
        """Workers and a sweeper; at the end all runs come to theirs."""
        try:
            for _ in range(workers):
                self._workers.append(self._a_worker())
                self.living.append(self._workers[-1].__enter__())
            with program(self._folder / "sweeper.log", "manage.py", "sweep", **(LEASE | self._env)):
                yield
                self._settle()
        finally:
            for worker in self._workers:
                worker.__exit__(None, None, None)

    def _a_worker(self) -> contextlib.AbstractContextManager[Program]:
        self._number += 1
        return started_worker(self._folder / f"{self._number}", **self._env)

    @property
    def submitted(self) -> int:
        """Runs so far."""
        return len(self._runs)

    def replace_dead(self) -> None:
        """Start a worker for each that is no more, as whatever keeps workers alive does."""
        for place, worker in enumerate(self.living):
            if worker.process.poll() is not None:
                self._workers[place].__exit__(None, None, None)
                self._workers[place] = self._a_worker()
                self.living[place] = self._workers[place].__enter__()

    def keep(self, at_once: int = 4) -> None:
        """Have so many runs under way."""
        while sum(not self._tenant.look(run).is_final for run, _ in self._runs) < at_once:
            name = list(GRAPHS)[len(self._runs) % len(GRAPHS)]
            self._runs.append((self._tenant.submit(TICKS[name], SEED, self._graphs[name]), name))

    def meddle(self) -> None:
        """Tell some run something, as people do."""
        run, name = self.rng.choice(self._runs[-6:])
        (kind,) = self.rng.choices(("control", "pause", "resume", "cancel"), weights=(12, 3, 6, 1))
        payload: dict[str, Any] = {}
        if kind == "control":
            if name not in CONTROLS:
                return
            payload = {"target": CONTROLS[name], "value": round(self.rng.uniform(0.0, 0.5), 3)}
        try:
            self._tenant.command(run, kind, **payload)
        except Refusal:  # it is over
            return
        self.commands += 1
        if kind == "cancel":
            self._cancelled.add(run.pk)

    def _settle(self) -> None:
        """Let every run come to its end."""

        def over() -> bool:
            self.replace_dead()
            going = [run for run, _ in self._runs if not self._tenant.look(run).is_final]
            for run in going:
                with contextlib.suppress(Refusal):
                    self._tenant.command(run, "resume")
            time.sleep(0.5)
            return not going

        self._eventually(over, "every run to end")

    def check(self) -> dict[str, int]:
        """Hold every run to what it would have been; counts of what there was."""
        undisturbed = {
            name: Session(Plan.of(GraphSpec.parse(spec)), SEED, TICKS[name]).run().result_hash
            for name, spec in self._specs.items()
        }
        attempts = controls = equal = 0
        for run, name in self._runs:
            row = self._tenant.look(run)
            with scope(self._tenant.workspace.id):
                rows = RunAttempt.objects.filter(run_id=run.pk).order_by("number")
                states = list(rows.values_list("state", flat=True))
                unanswered = RunCommand.objects.filter(run_id=run.pk, applied_at=None, kind="control").count()
            events = self._tenant.events(run)
            ends = [e.payload["state"] for e in events if e.kind == "status" and e.payload["state"] == row.state]
            assert len(ends) == 1, (row, ends)
            assert [e.seq for e in events] == list(range(1, len(events) + 1))
            assert set(states[:-1]) <= {"lost", "released"}, states
            attempts += len(states)
            if run.pk in self._cancelled and row.state == "cancelled":
                continue
            assert row.state == "succeeded", (row, row.error)
            assert states[-1] == "succeeded"
            assert unanswered == 0
            log = [ControlChange(**change) for change in row.manifest["control_log"]]
            told = [
                (e.tick, e.payload["target"], e.payload["value"])
                for e in events
                if e.kind == "control" and e.payload["do"] == "control" and e.payload["refusal"] is None
            ]
            # What was done before a death is done again at its tick, and what is told meanwhile may come ahead of it.
            assert sorted(told) == sorted((change.tick, change.target, change.value) for change in log), (told, log)
            controls += len(log)
            expected = undisturbed[name]
            if log:
                plan = Plan.of(GraphSpec.parse(self._specs[name]))
                expected = Session(plan, SEED, TICKS[name], controls=log).run().result_hash
            assert row.result_hash == expected, name
            equal += 1
        return {
            "runs": len(self._runs), "attempts": attempts, "commands": self.commands, "controls done": controls,
            "equal to undisturbed ones": equal,
        }  # fmt: skip
