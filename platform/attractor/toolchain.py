"""Whether this machine can compile regions."""

from __future__ import annotations

import os
import shutil
from functools import cache
from importlib.util import find_spec
from typing import Final

# What inductor looks for where $CXX names no other.
_COMPILERS: Final = ("g++",)


@cache
def missing_compiler(device_type: str) -> str | None:
    """Why nothing can be compiled for a kind of device on this machine; None when it can."""
    if device_type == "cuda":
        if find_spec("triton") is not None:
            return None
        return "Triton is not installed: install it to have regions compiled for CUDA"
    named = os.environ.get("CXX")
    if any(shutil.which(name) for name in ((named,) if named else _COMPILERS)):
        return None
    what = f"$CXX names {named!r}, which is not there" if named else "there is no g++"
    return f"{what}: install it, or name another C++ compiler in $CXX, to have regions compiled"
