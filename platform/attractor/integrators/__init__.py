"""One-step integrators of ṡ = f(s), one a file. They know nothing of what they integrate."""

from attractor.integrators.dopri5 import dopri5
from attractor.integrators.rk4 import rk4
from attractor.integrators.stochastic_heun import stochastic_heun

__all__ = ["dopri5", "rk4", "stochastic_heun"]
