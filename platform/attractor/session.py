"""Session: the loop. Runs a program in blocks of ticks, applies live controls between them, hands out frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from attractor import checkpoint
from attractor.block_pass import ProgramState, remember
from attractor.control import ControlChange, Schedule, legal_change, legal_trigger
from attractor.errors import AttractorError, CheckpointRefused, ControlRejected, Problem
from attractor.frame import Frame, Subscription, Tap
from attractor.node import DEFAULT_BLOCK, Event, HostNode
from attractor.plan import Plan
from attractor.program import Program
from attractor.result import RunResult, device_class, kind_versions, versions, weights
from attractor.tier import Tier
from attractor.trail import Trail


@dataclass(frozen=True, slots=True)
class BlockReport:
    """What happened in one block.

    Attributes:
        tick: ticks computed so far; ticks: of how many; first: the block's first tick.
        frames: one for every subscription that has something to show.
        events: what nodes said, and the control changes that took hold.
        ticks_per_s, eta_s: measured over the run so far (without pauses).
        recorded: what the taps took, see `Session.record`.
    """

    first: int
    tick: int
    ticks: int
    frames: tuple[Frame, ...]
    events: tuple[Event, ...]
    ticks_per_s: float
    eta_s: float
    recorded: tuple[Frame, ...] = ()

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 … 1."""
        return self.tick / self.ticks


@dataclass(slots=True)
class _Wishes:
    """What other threads ask of the session, waiting for the next block boundary."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    controls: list[tuple[str, str, Any]] = field(default_factory=list)
    triggers: list[tuple[str, str]] = field(default_factory=list)
    subscriptions: dict[tuple[str, str], Subscription] = field(default_factory=dict)


class Session:
    """One run of a plan.

    Iterate over it to run it; the iteration ends after `ticks` ticks or within one block after `cancel`. From any other
    thread subscribe, set_control, trigger, cancel, pause and resume may be called; `result` and `checkpoint` belong to
    the thread that iterates, between two blocks.

    Args:
        plan: what to run.
        seed: run seed, 0 … 2^63 - 1.
        ticks: length of the run.
        block: ticks between two visits; it changes speed and reaction time, never a result.
        device: where tensors live.
        tier: ``eager``, ``compiled``, ``kernels``, ``compiled+kernels``, or ``auto`` for what the cost rule says.
        controls: changes that take hold at ticks known beforehand. With the control log of a run, its graph and its
            seed, the session replays that run; what lies beyond `ticks` never happens.
        trail: whether to keep a `Trail`, by which two runs are compared tick by tick.

    Raises:
        ValueError: seed, ticks or block out of range, or no such tier.
        ControlRejected: one of `controls` is not legal in this graph.
        AttractorError: a node cannot be prepared.
    """

    def __init__(
        self, plan: Plan, seed: int = 0, ticks: int = 1000, block: int = DEFAULT_BLOCK,
        device: torch.device | str = "cpu", tier: str = "auto", controls: Iterable[ControlChange] = (),
        trail: bool = False,
    ) -> None:  # fmt: skip
        if not 0 <= seed < 2**63:
            raise ValueError(f"the seed {seed} is not in [0, 2^63)")
        if ticks < 1 or block < 1:
            raise ValueError(f"ticks ({ticks}) and block ({block}) must be at least 1")
        self.plan = plan
        self.seed = seed
        self.ticks = ticks
        self.block = block
        self.tick = 0
        self.control_log: list[ControlChange] = []
        self._kinds = {node: planned.cls for node, planned in plan.nodes.items()}
        self._connected = {edge.dst for edge in plan.spec.edges}
        paces = {node: plan.clock.pace(kind.rate()) for node, kind in self._kinds.items()}
        self._schedule = Schedule(self._kinds, self._connected, paces, controls)
        with torch.no_grad():
            self._program = Program(plan, seed, device, Tier.choose(tier, plan, ticks, device))
            self._state = self._program.initial_state()
        self._last: dict[tuple[str, str], Any] = {}
        self.trail = Trail.of(plan, ticks) if trail else None
        self._wishes = _Wishes()
        self._taps: list[Tap] = []
        self._failure: BaseException | None = None
        self._cancelled = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._busy_s = 0.0
        self._busy_ticks = 0

    # What other threads may ask for.

    def subscribe(self, node: str, port: str, every: int = 1, take: int | None = None) -> None:
        """Ask for frames of an output port, or of an input port of a view (``series[0]`` for a variadic one).

        Raises:
            ControlRejected: there is no such port.
        """
        source, kind = self._watched(node, port)
        if every < 1 or (take is not None and take < 1):
            raise ControlRejected(Problem(f"{node}.{port}", "every and take start at 1.", "Give 1 or more."))
        with self._wishes.lock:
            old = self._wishes.subscriptions.get((node, port))
            seq = old.seq if old else 0
            self._wishes.subscriptions[(node, port)] = Subscription(node, port, source, kind, every, take, seq=seq)

    def unsubscribe(self, node: str, port: str) -> None:
        """No more frames of this port."""
        with self._wishes.lock:
            self._wishes.subscriptions.pop((node, port), None)

    def record(self, node: str, port: str, every: int = 1, last: int | None = None) -> None:
        """Have every block report the values of an output port, of `every` ticks the first. Call it before iterating.

        Args:
            last: the last tick of which a value was taken, where a session goes on that was recorded before.

        Raises:
            ControlRejected: there is no such port.
        """
        source, kind = self._watched(node, port)
        self._taps.append(Tap(node, port, source, kind, every, -1 if last is None else last // every))

    def set_control(self, target: str, value: Any) -> None:
        """Change the base value of a live parameter, ``"array.coupling"``, from the next block on.

        Raises:
            ControlRejected: not a live parameter of this graph, or not a legal value of it.
        """
        change = legal_change(self._kinds, target, value)
        with self._wishes.lock:
            self._wishes.controls.append(change)

    def trigger(self, target: str) -> None:
        """Fire an unconnected trigger input, ``"search.restart"``, for one tick of its node.

        Raises:
            ControlRejected: there is no such free trigger input.
        """
        fired = legal_trigger(self._kinds, self._connected, target)
        with self._wishes.lock:
            self._wishes.triggers.append(fired)

    def cancel(self) -> None:
        """Stop within one block, also while paused."""
        self._cancelled.set()
        self._running.set()

    def pause(self) -> None:
        """Wait at the next block boundary. A cancelled session has nothing to wait for."""
        self._running.clear()
        if self._cancelled.is_set():
            self._running.set()

    def resume(self) -> None:
        """Go on after a pause."""
        self._running.set()

    @property
    def paused(self) -> bool:
        return not self._running.is_set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    # The loop.

    def __iter__(self) -> Iterator[BlockReport]:
        while self.tick < self.ticks:
            self._intact()
            self._running.wait()
            if self._cancelled.is_set():
                return
            with self._wishes.lock:
                triggers, self._wishes.triggers = self._wishes.triggers, []
            for node, port in triggers:
                self._schedule.fire(self.tick, node, port)
            end = min(self.tick + self.block, self.ticks)
            change = self._schedule.next_tick(after=self.tick)
            yield self._advance((end if change is None else min(end, change)) - self.tick)

    def run(self) -> RunResult:
        """Run to the end and return the result."""
        for _ in self:
            pass
        return self.result()

    def _advance(self, ticks: int) -> BlockReport:
        begun = time.perf_counter()
        first = self.tick
        controls, fired = self._schedule.due(first)
        with self._wishes.lock:
            controls += self._wishes.controls
            self._wishes.controls = []
        triggers = frozenset(fired)
        events = [self._apply(node, name, value) for node, name, value in controls]
        # One for each firing, though two in a tick are one: whoever fired each waits for word of it.
        events += [self._log(f"{node}.{name}", True, "fired") for node, name in sorted(fired)]
        try:
            with torch.no_grad():
                self._state, values = self._program.run(self._state, first, ticks, triggers)
        except BaseException as failure:
            self._failure = failure
            raise
        remember(self._last, values)
        if self.trail is not None:
            self.trail.take(values, first, ticks)
        self.tick = first + ticks
        with self._wishes.lock:
            watched = list(self._wishes.subscriptions.values())
        frames = [
            sub.frame(values[(sub.node, sub.port)], first, self._seconds)
            for sub in watched
            if (sub.node, sub.port) in values
        ]
        recorded = [
            tap.frame(values[(tap.node, tap.port)], first, self._seconds)
            for tap in self._taps
            if (tap.node, tap.port) in values
        ]
        self._busy_s += time.perf_counter() - begun
        self._busy_ticks += ticks
        speed = self._busy_ticks / self._busy_s if self._busy_s else 0.0
        return BlockReport(
            first, self.tick, self.ticks, tuple(frame for frame in frames if frame is not None),
            (*events, *self._program.events()), speed, (self.ticks - self.tick) / speed if speed else 0.0,
            tuple(frame for frame in recorded if frame is not None),
        )  # fmt: skip

    def _intact(self) -> None:
        """Refuse to go on from, or to hand out, a state that a failure has left in the middle of a block."""
        if self._failure is not None:
            raise AttractorError(
                f"the session broke off after tick {self.tick} ({self._failure}); restore its last checkpoint"
            ) from self._failure

    def _apply(self, node: str, name: str, value: Any) -> Event:
        self._program.set_base(node, name, value)
        return self._log(f"{node}.{name}", value, "set")

    def _log(self, target: str, value: Any, verb: str) -> Event:
        self.control_log.append(ControlChange(self.tick, target, value))
        return Event(
            self.tick,
            "control",
            "info",
            target.partition(".")[0],
            f"{target} {verb}",
            {"target": target, "value": value},
        )

    def _watched(self, node: str, port: str) -> tuple[str, str]:
        """Source and kind of a port that can be subscribed to."""
        planned = self.plan.nodes.get(node)
        if planned is not None:
            if port in planned.kinds:
                return f"{node}.{port}", planned.kinds[port]
            name = port.partition("[")[0]
            edges = planned.inputs.get(name, ())
            if planned.cls.view:
                for edge in edges:
                    if port == (name if edge.slot is None else f"{name}[{edge.slot}]"):
                        return ".".join(edge.source), edge.target_kind
        raise ControlRejected(
            Problem(
                f"{node}.{port}", "is not a port that can be watched.", "Name an output, or a connected port of a view."
            )
        )

    # What remains of it.

    def result(self) -> RunResult:
        """The result so far; `complete` says whether the run reached its last tick.

        Raises:
            AttractorError: a node failed, so that there is a result of no tick.
        """
        self._intact()
        return RunResult.of(
            self._program, self._state, self._last, graph_hash=self.plan.spec.content_hash, seed=self.seed,
            ticks=self.tick, complete=self.tick == self.ticks, control_log=self.control_log,
        )  # fmt: skip

    def manifest(self) -> dict[str, Any]:
        """Everything that is needed to compute the run again, JSON-able: what it computes, with what, and what was done
        to it so far."""
        return {
            "graph_hash": self.plan.spec.content_hash, "seed": self.seed, "ticks": self.ticks,
            "tier_reason": self._program.tier_reason, **self._circumstances(),
            "control_log": [asdict(change) for change in self.control_log],
        }  # fmt: skip

    def finished_trail(self) -> Trail | None:
        """The trail of a session that has reached its last tick, with the states it ends with; None when none is kept.

        Raises:
            AttractorError: a node failed.
        """
        self._intact()
        if self.trail is not None:
            self.trail.close(self.plan, self._state, self._program.nodes)
        return self.trail

    def checkpoint(self, store: Path | str) -> Path:
        """Write the session into a store of checkpoints, whole or not at all. Call it between two blocks.

        Returns:
            the checkpoint's folder in the store, named by the SHA-256 of its content.

        Raises:
            AttractorError: a node failed in the middle of a block.
        """
        self._intact()
        hosts = {n: node.state_dict() for n, node in self._program.nodes.items() if isinstance(node, HostNode)}
        header = {
            "graph_hash": self.plan.spec.content_hash, "seed": self.seed, "tick": self.tick, "ticks": self.ticks,
            "block": self.block, **self._circumstances(),
            "control_log": [asdict(change) for change in self.control_log],
            "controls": [asdict(change) for change in self._schedule.pending],
        }  # fmt: skip
        state = self._state
        return checkpoint.write(
            Path(store), header,
            {
                "nodes": state.nodes, "held": state.held, "delayed": state.delayed, "sources": state.sources,
                "smoothed": state.smoothed, "resampled": state.resampled, "hosts": hosts, "base": self._program.base,
                "last": [[node, port, value] for (node, port), value in self._last.items()],
                **({} if self.trail is None else {"trail": self.trail.keep()}),
            },
        )  # fmt: skip

    def _circumstances(self) -> dict[str, Any]:
        """What the rest of a run must share with its beginning to be the same run."""
        return {
            "tier": self._program.tier.name,
            "device": device_class(self._program.device),
            "versions": versions(),
            "kinds": kind_versions(self._program.nodes.values()),
            "weights": weights(self._program.nodes),
        }

    @classmethod
    def restore(
        cls, folder: Path | str, plan: Plan, device: torch.device | str = "cpu",
        controls: Iterable[ControlChange] | None = None,
    ) -> Session:  # fmt: skip
        """A session that goes on where a checkpoint stopped.

        Args:
            folder: as returned by `checkpoint`.
            plan: of the graph that the checkpoint is of.
            device: where tensors live from now on: of the class that the checkpoint names.
            controls: changes to come, in place of those that the session had still before it.

        Raises:
            ControlRejected: one of `controls` is not legal in this graph.
            CheckpointRefused: it is damaged, or belongs to another graph, or to another tier or device class, or to
                other versions, node kinds or weights, under which the rest of the run would not be the one that was
                begun.
        """
        header, state = checkpoint.read(Path(folder), device)
        if header["graph_hash"] != plan.spec.content_hash:
            raise CheckpointRefused(
                f"the checkpoint is of graph {header['graph_hash']}, not of {plan.spec.content_hash}: "
                "restore it with the plan of its own graph"
            )
        coming = [ControlChange(**change) for change in header["controls"]] if controls is None else controls
        session = cls(plan, header["seed"], header["ticks"], header["block"], device, header["tier"], coming)
        for what, own in session._circumstances().items():
            if header[what] != own:
                raise CheckpointRefused(
                    f"the checkpoint was made with {what} {header[what]}, here is {own}: "
                    "restore it where these are the same, or start the run again"
                )
        session.tick = header["tick"]
        session.control_log = [ControlChange(**change) for change in header["control_log"]]
        session._program.base = state["base"]
        session._state = ProgramState(
            state["nodes"], state["held"], state["delayed"], state["sources"], state["smoothed"], state["resampled"]
        )
        for name, insides in state["hosts"].items():
            node = session._program.nodes[name]
            assert isinstance(node, HostNode)
            node.load_state_dict(insides)
        session._last = {(node, port): value for node, port, value in state["last"]}
        if "trail" in state:
            session.trail = Trail.restored(plan, session.ticks, state["trail"])
        return session

    def _seconds(self, tick: int) -> float:
        return tick * self.plan.clock.tick_seconds
