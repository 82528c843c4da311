"""The node kinds of the engine, one a file."""

from attractor.node import Node
from attractor.nodes.ebm_gaussian import GaussianField
from attractor.nodes.gen_value import Value
from attractor.nodes.osc_array import CoupledOscillatorArray
from attractor.nodes.util_encode import Encode

NODES: tuple[type[Node], ...] = (CoupledOscillatorArray, GaussianField, Value, Encode)
