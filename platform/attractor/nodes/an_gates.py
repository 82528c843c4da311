"""an.gates: the experiment that asks whether a driven array computes Boolean functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from attractor.gates.search import Sites, search
from attractor.gates.truth import FAMILY, NAMES, row_of
from attractor.gates.verification import Tally, clopper_pearson
from attractor.node import ABSENT, Context, Cost, HostNode, Inputs, Outputs, Params, ShapeProblem
from attractor.parameter import Parameter
from attractor.port import Port, Shape

TABLE_COLUMNS = (
    "gate", "node", "lag", "threshold", "margin", "r00", "r01", "r10", "r11", "lo00", "lo01", "lo10", "lo11",
    "hi00", "hi01", "hi10", "hi11", "trials", "verified", "retained",
)  # fmt: skip
TOTALS_COLUMNS = ("gate", "candidates", "verified", "retested", "retained")

# Which gate a unit of the map shows when several verify there: the hardest first.
_PRECEDENCE = {"XOR": 2, "XNOR": 2, "AND": 1, "NAND": 1, "OR": 1, "NOR": 1}


class GateSearch(HostNode):
    """Trials of a driven array, a search for gates in the training trials, verification in held-out ones.

    A trial resets the array to a stored state plus N(0, σ²) noise, applies one row of inputs, and records the response
    of every unit at every lag. The stored state is the array's own after `warmup` ticks; trials begin in step with
    the inputs. When the training trials are in, sites are searched; every later trial tests them: first
    the held-out trials, which decide, then, if `retest` > 0, further ones, which tell how many accepted sites stand.
    """

    kind = "an.gates"
    title = "Gate search"
    category = "analysis"
    summary = (
        "Finds units whose thresholded response to two bits is a Boolean gate, and verifies them on held-out trials."
    )
    equation = "gate(A, B) = [x_unit(lag) > threshold]"
    references = ("Sinha & Ditto 1998, Phys. Rev. Lett. 81, 2156", "Clopper & Pearson 1934, Biometrika 26, 404")
    inputs = (
        Port("bits", "vector", (2,), when_absent="skip", doc="inputs A and B, each 0 or 1, constant within a trial"),
        Port("x", "vector", ("N",), doc="response of the array at the end of the tick before (a delayed edge)"),
        Port("state", "state3", ("N", "D"), doc="state of the array at the end of the tick before (a delayed edge)"),
        Port("restart", "trigger", optional=True, when_absent="skip", doc="forget everything and begin again"),
    )
    outputs = (
        Port("initial", "state3", ("N", "D"), doc="state to which the array is reset when a trial begins"),
        Port(
            "map",
            "vector",
            ("N",),
            doc="verified gate of every unit: 0 none, 1 AND, 2 OR, 3 XOR, 4 NAND, 5 NOR, 6 XNOR",
        ),
        Port("count", "scalar", doc="distinct gates verified so far; a gate and its complement count once"),
        Port("gates", "table", doc="best sites of every gate, with their held-out rates and 95 % intervals"),
        Port("totals", "table", doc="numbers of candidate, verified and retained sites per gate"),
        Port("phase", "text", doc="what the experiment is doing"),
    )
    params = (
        Parameter("warmup", "int", 100, "ticks", min=1, max=100_000, doc="free ticks before the state is stored"),
        Parameter("trial", "int", 48, "ticks", min=1, max=10_000, doc="length of a trial"),
        Parameter("lag", "int", 2, "ticks", min=1, max=10_000, doc="spacing of the readouts within a trial"),
        Parameter("train", "int", 48, min=4, max=10_000, doc="training trials"),
        Parameter("held_out", "int", 120, min=4, max=100_000, doc="held-out trials that decide"),
        Parameter("retest", "int", 0, min=0, max=100_000, doc="further trials that test the accepted sites again"),
        Parameter("sigma", "float", 1e-3, min=0, max=1, doc="standard deviation of the noise on the stored state"),
        Parameter("rate", "float", 0.95, min=0.5, max=1, doc="share of trials that must be right, in every row"),
        Parameter("listed", "int", 4, min=1, max=100, doc="sites of every gate that the table lists"),
        Parameter("permute_labels", "bool", False, doc="negative control: shuffle the labels of the training trials"),
    )
    differentiable: ClassVar[bool | str] = "it searches among discrete sites"

    def __init__(self, id: str, params: Mapping[str, Any], shapes: Mapping[str, Shape] | None = None) -> None:
        super().__init__(id, params, shapes)
        # The row that the inputs show, and the tick at which they last changed to it.
        self._row = -1
        self._changed = -1
        self._forget(0)

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        if params["lag"] > params["trial"]:
            raise ShapeProblem("lag", "is longer than a trial.", f"Give at most {params['trial']} ticks.")

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        units = shapes["x"][-1]
        lags = params["trial"] // params["lag"]
        return Cost(flops=30.0 * units, bytes=4.0 * params["train"] * lags * units)

    @classmethod
    def ticks(cls, params: Mapping[str, Any]) -> int:
        """Ticks from the beginning to the last readout (which arrives one tick after its trial)."""
        trials = params["train"] + params["held_out"] + params["retest"]
        return int(params["warmup"] + trials * params["trial"] + 1)

    def _forget(self, tick: int) -> None:
        self._begun = tick
        self._first_trial = -1
        self._stored: torch.Tensor | None = None
        self._trial_row = -1
        self._trial_response: torch.Tensor | None = None
        self._responses: list[torch.Tensor] = []
        self._rows: list[int] = []
        self._sites: Sites | None = None
        self._held_out = Tally.empty(0)
        self._retest = Tally.empty(0)
        self._done = 0

    def step(self, inputs: Inputs, params: Params, ctx: Context) -> Outputs:
        if inputs["restart"] is not ABSENT and bool(inputs["restart"]):
            self._forget(ctx.tick)
            ctx.log("The search begins again.")
        trial_ticks = self.settings["trial"]
        self._watch(inputs["bits"], ctx)
        self._begin_when_ready(inputs["state"], ctx)
        since = ctx.tick - self._first_trial if self._first_trial >= 0 else -1
        out: Outputs = {}
        if since > 0 and self._done < self._total:
            self._record(inputs["x"], since - 1, ctx)
        if since >= 0 and self._done < self._total:
            self._follow(inputs["bits"], since % trial_ticks, ctx)
            if since % trial_ticks == 0:
                assert self._stored is not None
                noise = ctx.random.normal(self._stored.numel()).view(self._stored.shape)
                out["initial"] = self._stored + self.settings["sigma"] * noise
        if since < 0 or since % trial_ticks == 0:
            out |= self._report(ctx, since)
        return out

    def _watch(self, bits: Any, ctx: Context) -> None:
        """Know which row the inputs show and since when."""
        if bits is ABSENT:
            return
        if not bool(((bits == 0) | (bits == 1)).all()):
            raise ctx.fail(f"the inputs are {bits.tolist()}, not bits.", "Give 0 or 1 for A and for B.")
        row = int(row_of(bits))
        if row != self._row:
            self._row, self._changed = row, ctx.tick

    def _begin_when_ready(self, state: torch.Tensor, ctx: Context) -> None:
        """Begin after the warm-up, and in step with the inputs: a whole number of trials after they last changed."""
        if self._first_trial >= 0 or self._changed < 0 or ctx.tick < self._begun + self.settings["warmup"]:
            return
        if (ctx.tick - self._changed) % self.settings["trial"] == 0:
            self._first_trial = ctx.tick
            self._stored = state.clone()
            ctx.log("The state to which every trial returns is stored.")

    @property
    def _total(self) -> int:
        settings = self.settings
        return int(settings["train"] + settings["held_out"] + settings["retest"])

    def _follow(self, bits: Any, within: int, ctx: Context) -> None:
        """Know the row of the trial, and refuse inputs that change within it."""
        if within == 0:
            self._trial_row = self._row
        if bits is ABSENT or self._row != self._trial_row:
            raise ctx.fail(
                f"the inputs {'fell silent' if bits is ABSENT else 'changed'} {within} ticks into a trial.",
                f"Hold every row for a multiple of {self.settings['trial']} ticks, the length of a trial.",
            )

    def _record(self, x: torch.Tensor, age: int, ctx: Context) -> None:
        """Take up the response at the end of tick `age` of the experiment."""
        trial_ticks, lag = self.settings["trial"], self.settings["lag"]
        within = age % trial_ticks
        if within == 0:
            self._trial_response = torch.zeros(trial_ticks // lag, x.shape[-1], dtype=x.dtype, device=x.device)
        assert self._trial_response is not None
        if (within + 1) % lag == 0:
            self._trial_response[(within + 1) // lag - 1] = x
        if within == trial_ticks - 1:
            self._finish_trial(self._trial_response.cpu(), ctx)

    def _finish_trial(self, response: torch.Tensor, ctx: Context) -> None:
        train, held_out = self.settings["train"], self.settings["held_out"]
        if self._done < train:
            self._responses.append(response)
            self._rows.append(self._trial_row)
            if self._done + 1 == train:
                self._search(ctx)
        else:
            assert self._sites is not None
            tally = self._held_out if self._done < train + held_out else self._retest
            tally.add(self._sites, response, self._trial_row)
        self._done += 1
        if self._done == train + held_out:
            verified = int(self._held_out.verified(self.settings["rate"]).sum())
            ctx.log(
                f"{verified} of {len(self._held_out.correct)} sites verified on {held_out} held-out trials.",
                verified=verified,
            )

    def _search(self, ctx: Context) -> None:
        rows = torch.tensor(self._rows)
        if self.settings["permute_labels"]:
            rows = rows[ctx.random.permutation(len(rows), lane=1)]
        missing = [f"{row:02b}" for row in range(4) if not bool((rows == row).any())]
        if missing:
            raise ctx.fail(
                f"the training trials never had the inputs {', '.join(missing)}.", "Give a schedule with all four rows."
            )
        self._sites = search(torch.stack(self._responses), rows)
        self._responses.clear()
        self._held_out = Tally.empty(len(self._sites))
        self._retest = Tally.empty(len(self._sites))
        ctx.log(f"{len(self._sites)} candidate sites in {len(rows)} training trials.", candidates=len(self._sites))

    def _report(self, ctx: Context, since: int) -> Outputs:
        train, held_out = self.settings["train"], self.settings["held_out"]
        out: Outputs = {}
        if since < 0:
            free = min(ctx.tick - self._begun, self.settings["warmup"])
            return {"phase": f"warm-up {free}/{self.settings['warmup']}"}
        if self._done < train:
            out["phase"] = f"training {self._done}/{train}"
        elif self._done < train + held_out:
            out["phase"] = f"verifying {self._done - train}/{held_out}"
        elif self._done < self._total:
            out["phase"] = f"testing again {self._done - train - held_out}/{self.settings['retest']}"
        else:
            out["phase"] = "done"
        if self._sites is not None:
            # A site counts as verified once all held-out trials have been heard, not before.
            final = self._done >= train + held_out
            verified = self._held_out.verified(self.settings["rate"]) & final
            out["gates"] = self._table(self._sites, verified)
            out["totals"] = self._totals(self._sites, verified)
            out["map"] = self._map(self._sites, verified).to(ctx.device, ctx.dtype)
            families = {FAMILY[NAMES[gate]] for gate in self._sites.gate[verified].tolist()}
            out["count"] = torch.tensor(float(len(families)), device=ctx.device, dtype=ctx.dtype)
        return out

    def _retained(self) -> torch.Tensor:
        return self._retest.verified(self.settings["rate"])

    def _table(self, sites: Sites, verified: torch.Tensor) -> dict[str, Any]:
        """The sites of every gate that look best: verified before others, then the widest margin."""
        rates = self._held_out.rates()
        low, high = clopper_pearson(self._held_out.correct, self._held_out.trials)
        retested = bool((self._retest.trials > 0).all())
        retained = self._retained()
        tick_lag = self.settings["lag"]
        rows: list[list[Any]] = []
        for gate, name in enumerate(NAMES):
            (own,) = torch.nonzero(sites.gate == gate, as_tuple=True)
            rank = torch.argsort(verified[own] * 2.0 + sites.margin[own], descending=True, stable=True)
            for site in own[rank[: self.settings["listed"]]].tolist():
                heard = bool((self._held_out.trials > 0).all())
                rows.append(
                    [
                        name,
                        int(sites.unit[site]),
                        int(sites.lag[site] + 1) * tick_lag,
                        float(sites.threshold[site]),
                        float(sites.margin[site]),
                        *(rates[site].tolist() if heard else [None] * 4),
                        *low[site].tolist(),
                        *high[site].tolist(),
                        int(self._held_out.trials.sum()),
                        bool(verified[site]),
                        bool(retained[site]) if retested else None,
                    ]
                )
        return {"columns": list(TABLE_COLUMNS), "rows": rows}

    def _totals(self, sites: Sites, verified: torch.Tensor) -> dict[str, Any]:
        retested = int(self._retest.trials.sum())
        retained = self._retained() & verified
        rows = []
        for gate, name in enumerate(NAMES):
            own = sites.gate == gate
            kept = int((own & retained).sum()) if retested else None
            rows.append([name, int(own.sum()), int((own & verified).sum()), retested, kept])
        return {"columns": list(TOTALS_COLUMNS), "rows": rows}

    def _map(self, sites: Sites, verified: torch.Tensor) -> torch.Tensor:
        units = self.port_shapes["x"][-1]
        shown = torch.zeros(units)
        score = torch.zeros(units)
        precedence = torch.tensor([_PRECEDENCE[name] for name in NAMES], dtype=torch.float32)
        worth = (precedence[sites.gate] + sites.margin.clamp(max=1)) * verified
        order = torch.argsort(worth, stable=True)
        for site in order[verified[order]].tolist():
            unit = sites.unit[site]
            if worth[site] > score[unit]:
                score[unit] = worth[site]
                shown[unit] = sites.gate[site] + 1
        return shown

    def state_dict(self) -> dict[str, Any]:
        sites = self._sites
        return {
            "row": self._row,
            "changed": self._changed,
            "begun": self._begun,
            "first_trial": self._first_trial,
            "stored": self._stored,
            "trial_row": self._trial_row,
            "trial_response": self._trial_response,
            "responses": list(self._responses),
            "rows": list(self._rows),
            "sites": None if sites is None else [sites.gate, sites.lag, sites.unit, sites.threshold, sites.margin],
            "held_out": [self._held_out.correct, self._held_out.trials],
            "retest": [self._retest.correct, self._retest.trials],
            "done": self._done,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._row, self._changed = state["row"], state["changed"]
        self._begun, self._first_trial = state["begun"], state["first_trial"]
        self._stored = state["stored"]
        self._trial_row = state["trial_row"]
        self._trial_response = state["trial_response"]
        self._responses = list(state["responses"])
        self._rows = list(state["rows"])
        self._sites = None if state["sites"] is None else Sites(*state["sites"])
        self._held_out = Tally(*state["held_out"])
        self._retest = Tally(*state["retest"])
        self._done = state["done"]
