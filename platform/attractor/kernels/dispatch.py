"""When a kernel is called as an operator of torch, and when past its dispatcher."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode


def traced() -> bool:
    """Whether somebody follows what torch computes: a compiler or a tracer, who must meet a kernel as one operator.

    Otherwise a kernel is called without torch's dispatcher, which takes longer than a small kernel.
    """
    return torch.compiler.is_compiling() or _get_current_dispatch_mode() is not None
