"""The node kinds of the engine, one a file."""

from attractor.node import Node
from attractor.nodes.an_gates import GateSearch
from attractor.nodes.an_pattern import RecurringPattern
from attractor.nodes.ctl_pid import Pid
from attractor.nodes.ebm_blocking import BlockPlan
from attractor.nodes.ebm_gaussian import GaussianField
from attractor.nodes.ebm_ising import Ising
from attractor.nodes.ebm_mixed import MixedModel
from attractor.nodes.ebm_potts import Potts
from attractor.nodes.gen_value import Value
from attractor.nodes.osc_array import CoupledOscillatorArray
from attractor.nodes.util_encode import Encode
from attractor.nodes.viz_grid import Grid
from attractor.nodes.viz_phase3d import PhaseSpace
from attractor.nodes.viz_timeseries import TimeSeries

NODES: tuple[type[Node], ...] = (
    GateSearch,
    RecurringPattern,
    Pid,
    BlockPlan,
    GaussianField,
    Ising,
    MixedModel,
    Potts,
    Value,
    CoupledOscillatorArray,
    Encode,
    Grid,
    PhaseSpace,
    TimeSeries,
)
