"""The node kinds of the engine, one a file."""

from attractor.node import Node
from attractor.nodes.an_gates import GateSearch
from attractor.nodes.an_pattern import RecurringPattern
from attractor.nodes.ctl_pid import Pid
from attractor.nodes.ebm_anneal import Annealing
from attractor.nodes.ebm_blocking import BlockPlan
from attractor.nodes.ebm_clamp import ConditionalSampler
from attractor.nodes.ebm_factor import WeightedFactor
from attractor.nodes.ebm_gaussian import GaussianField
from attractor.nodes.ebm_higher_order import MultiSpinCoupling
from attractor.nodes.ebm_ising import Ising
from attractor.nodes.ebm_mixed import MixedModel
from attractor.nodes.ebm_moments import MomentAccumulator
from attractor.nodes.ebm_multichain import MultiChain
from attractor.nodes.ebm_potts import Potts
from attractor.nodes.ebm_profile import SamplingProfiler
from attractor.nodes.ebm_train_cd import ContrastiveDivergence
from attractor.nodes.ebm_train_moments import MomentMatching
from attractor.nodes.ebm_train_pcd import PersistentContrastiveDivergence
from attractor.nodes.ebm_validate import StateValidator
from attractor.nodes.field_probe import FieldProbe
from attractor.nodes.field_source import SourceSplat
from attractor.nodes.field_wave import WaveField
from attractor.nodes.field_wave_complex import ComplexEnvelope
from attractor.nodes.gen_value import Value
from attractor.nodes.osc_array import CoupledOscillatorArray
from attractor.nodes.osc_chua import ChuaOscillator
from attractor.nodes.osc_lorenz import LorenzSystem
from attractor.nodes.osc_rossler import RosslerSystem
from attractor.nodes.osc_vanderpol import VanDerPolOscillator
from attractor.nodes.util_encode import Encode
from attractor.nodes.viz_grid import Grid
from attractor.nodes.viz_phase3d import PhaseSpace
from attractor.nodes.viz_timeseries import TimeSeries

NODES: tuple[type[Node], ...] = (
    GateSearch,
    RecurringPattern,
    Pid,
    BlockPlan,
    Annealing,
    ConditionalSampler,
    WeightedFactor,
    GaussianField,
    MultiSpinCoupling,
    Ising,
    MixedModel,
    MomentAccumulator,
    MultiChain,
    SamplingProfiler,
    ContrastiveDivergence,
    MomentMatching,
    PersistentContrastiveDivergence,
    Potts,
    StateValidator,
    FieldProbe,
    SourceSplat,
    WaveField,
    ComplexEnvelope,
    Value,
    CoupledOscillatorArray,
    ChuaOscillator,
    LorenzSystem,
    RosslerSystem,
    VanDerPolOscillator,
    Encode,
    Grid,
    PhaseSpace,
    TimeSeries,
)
