"""What hashes see of the values of a run: tensors, objects, JSON, and nested collections of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from attractor.composed import Composed
from attractor.node import Absent


def feed(digest: Any, value: Any) -> None:
    """Feed a nested value to a hash without ambiguity: every part says its type and length first."""
    if isinstance(value, torch.Tensor):
        array = value.detach().cpu().contiguous().numpy()
        digest.update(f"T{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    elif isinstance(value, Mapping):
        digest.update(f"M{len(value)}".encode())
        for key in sorted(value, key=str):
            digest.update(f"K{key}".encode())
            feed(digest, value[key])
    elif isinstance(value, list | tuple):
        digest.update(f"L{len(value)}".encode())
        for item in value:
            feed(digest, item)
    elif isinstance(value, Absent):
        digest.update(b"A")
    elif isinstance(value, Composed):
        digest.update(f"C{value.composition}".encode())
        feed(digest, dict(value.parts()))
    elif isinstance(value, np.ndarray):
        feed(digest, torch.tensor(value))
    else:
        digest.update(("J" + json.dumps(value, sort_keys=True)).encode())
