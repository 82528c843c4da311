"""Small node kinds that compute audio blocks, for the tests of rates."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from sample_nodes import Accumulate, Add, Collect, Ramp, Sometimes

from attractor.node import ABSENT, TensorNode, exact, per_unit
from attractor.parameter import Parameter
from attractor.port import Port


def _audio(ports):
    return tuple(replace(port, rate="audio") for port in ports)


class FastRamp(Ramp):
    kind, outputs = "t.fast_ramp", _audio(Ramp.outputs)


class FastAdd(Add):
    kind, inputs, outputs = "t.fast_add", _audio(Add.inputs), _audio(Add.outputs)


class FastAccumulate(Accumulate):
    kind, inputs, outputs = "t.fast_accumulate", _audio(Accumulate.inputs), _audio(Accumulate.outputs)


class FastSometimes(Sometimes):
    kind, outputs = "t.fast_sometimes", _audio(Sometimes.outputs)


class FastCollect(Collect):
    kind, inputs, outputs = "t.fast_collect", _audio(Collect.inputs), _audio(Collect.outputs)


class Tone(TensorNode):
    """wave[n] = sin(2π·f·n/fs), by blocks."""

    kind, title, category, summary = "t.tone", "Tone", "test", "A sine."
    outputs = (Port("wave", "signal", ("B",), rate="audio"),)
    params = (Parameter("f", "float", 5.0, "Hz", min=0, max=1e4, live=True),)

    def initial_state(self, ctx):
        return {"phase": torch.zeros(ctx.batch)}

    def step(self, state, inputs, params, ctx):
        n = torch.arange(self.port_shapes["wave"][0], dtype=torch.float64)
        f = exact(params["f"])
        turn = per_unit(state["phase"]) + per_unit(f / ctx.fs) * n
        phase = (state["phase"].double() + f * ctx.dt) % 1.0
        return {"phase": phase.to(ctx.dtype)}, {"wave": torch.sin(2 * math.pi * turn).to(ctx.dtype)}


class Hiss(TensorNode):
    kind, title, category, summary = "t.hiss", "Hiss", "test", "White noise, and the first number of every block."
    outputs = (Port("wave", "signal", ("B",), rate="audio"), Port("first", "scalar", rate="audio"))

    def step(self, state, inputs, params, ctx):
        drawn = ctx.random.normal(self.port_shapes["wave"][0]).expand(*ctx.batch, -1)
        return state, {"wave": drawn, "first": drawn[..., 0]}


class Amplifier(TensorNode):
    """out = gain · in, sample by sample."""

    kind, title, category, summary = "t.amplifier", "Amplifier", "test", "Multiplies."
    inputs = (Port("wave", "signal", ("B",), rate="audio"), Port("gain", "signal", ("B",), rate="audio", optional=True))
    outputs = (Port("wave", "signal", ("B",), rate="audio"),)

    def step(self, state, inputs, params, ctx):
        return state, {"wave": inputs["wave"] * (1.0 if inputs["gain"] is ABSENT else inputs["gain"])}


class Metronome(TensorNode):
    """A trigger at every third tick of its own."""

    kind, title, category, summary = "t.metronome", "Metronome", "test", "Beats."
    outputs = (Port("beat", "trigger"),)

    def step(self, state, inputs, params, ctx):
        return state, {"beat": torch.ones(ctx.batch, dtype=torch.bool) if ctx.tick % 3 == 1 else ABSENT}


class FastMetronome(Metronome):
    kind, outputs = "t.fast_metronome", _audio(Metronome.outputs)


class Counter(TensorNode):
    """How often it was fired."""

    kind, title, category, summary = "t.counter", "Counter", "test", "Counts."
    inputs = (Port("fire", "trigger", optional=True, when_absent="skip"),)
    outputs = (Port("count", "scalar"),)

    def initial_state(self, ctx):
        return {"count": torch.zeros(ctx.batch)}

    def step(self, state, inputs, params, ctx):
        count = state["count"] + (0.0 if inputs["fire"] is ABSENT else inputs["fire"].to(ctx.dtype))
        return {"count": count}, {"count": count}


class FastCounter(Counter):
    kind, inputs, outputs = "t.fast_counter", _audio(Counter.inputs), _audio(Counter.outputs)


AUDIO_NODES = (
    FastRamp, FastAdd, FastAccumulate, FastSometimes, FastCollect, Tone, Hiss, Amplifier, Metronome, FastMetronome,
    Counter, FastCounter,
)  # fmt: skip
