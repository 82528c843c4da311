"""The names of the tiers, and what may be asked for. Importing this module imports no torch."""

from __future__ import annotations

from typing import Final

TIERS: Final = ("eager", "compiled", "kernels", "compiled+kernels")
REQUESTS: Final = ("auto", *TIERS)
