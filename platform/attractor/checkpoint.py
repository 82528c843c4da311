"""Checkpoints: a session on disk, as safetensors and JSON, under the hash of its content. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from attractor.composed import Composed, composed
from attractor.errors import CheckpointRefused
from attractor.node import ABSENT

FORMAT: Final = 3
_TENSORS: Final = "state.safetensors"
_HEADER: Final = "session.json"
_UNFINISHED: Final = ".unfinished."
_ABANDONED_S: Final = 3600.0


def write(store: Path, header: Mapping[str, Any], state: Mapping[str, Any]) -> Path:
    """Write a checkpoint into a store, under its own hash. It is there whole or not at all.

    Args:
        store: folder that holds checkpoints; made if it is not there.
        header: JSON-able facts (graph hash, seed, tick, control log).
        state: nested dicts and lists of tensors, JSON-able values and ABSENT.

    Returns:
        the checkpoint's folder. Its name is the SHA-256 of the header, which names the hash of the tensors: one content
        has one address, and is written once.
    """
    tensors: dict[str, torch.Tensor] = {}
    tree = _flatten(state, "state", tensors)
    blob = save(tensors)
    document = {
        **header, "format": FORMAT, "state": tree, "tensors_sha256": hashlib.sha256(blob).hexdigest(),
    }  # fmt: skip
    text = json.dumps(document, sort_keys=True, allow_nan=False).encode()
    folder = store / hashlib.sha256(text).hexdigest()
    store.mkdir(parents=True, exist_ok=True)
    if _intact(folder):
        # The newest is the one that was asked for last, not the one that was new to the disk.
        os.utime(folder)
        return folder
    fresh = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=store))
    try:
        _durably(fresh / _TENSORS, blob)
        _durably(fresh / _HEADER, text)
        if folder.exists():  # Damaged: nothing that can be read is lost with it.
            folder.rename(fresh / "damaged")
        fresh.rename(folder)
    except BaseException as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if isinstance(error, OSError) and _intact(folder):  # Another writer had the same to say and was first.
            return folder
        raise
    shutil.rmtree(folder / "damaged", ignore_errors=True)
    _settle(store)
    return folder


def newest(store: Path) -> list[Path]:
    """The checkpoints of a store, the one that was written last first; damaged ones are among them."""
    found = [path for path in store.glob("[0-9a-f]" * 64) if path.is_dir()]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def prune(store: Path, keep: int) -> None:
    """Remove all but the newest checkpoints of a store, and what a writer that was killed an hour ago left there.

    Args:
        keep: how many stay, at least 1.
    """
    if keep < 1:
        raise ValueError(f"keep {keep} checkpoints: at least the newest must stay")
    for path in newest(store)[keep:]:
        shutil.rmtree(path)
    for path in store.glob(_UNFINISHED + "*"):
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(path)


def _intact(folder: Path) -> bool:
    try:
        read(folder)
    except CheckpointRefused:
        return False
    return True


def _settle(directory: Path) -> None:
    """Make the renames in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(folder: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and state of a checkpoint.

    Args:
        folder: as returned by `write`.
        device: where those tensors go that were on an accelerator; the others were in main memory and stay there.

    Raises:
        CheckpointRefused: it is absent, damaged, of another format, or not what its name says.
    """
    try:
        text = (folder / _HEADER).read_bytes()
        document = json.loads(text)
        blob = (folder / _TENSORS).read_bytes()
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointRefused(f"{folder} holds no readable checkpoint ({error}); take another one") from error
    if not isinstance(document, dict):
        raise CheckpointRefused(f"{folder} holds no readable checkpoint (its header is no object); take another one")
    if document.get("format") != FORMAT:
        raise CheckpointRefused(
            f"the checkpoint has format {document.get('format')!r}, this version reads {FORMAT}; run it again"
        )
    if hashlib.sha256(text).hexdigest() != folder.name:
        raise CheckpointRefused(
            f"{folder / _HEADER} does not have the hash that names its folder: it is damaged or was renamed; "
            "take another one"
        )
    if hashlib.sha256(blob).hexdigest() != document["tensors_sha256"]:
        raise CheckpointRefused(
            f"{folder / _TENSORS} does not have the hash its header names: it is damaged; take another one"
        )
    try:
        tensors = load(blob)
    except SafetensorError as error:
        raise CheckpointRefused(f"{folder / _TENSORS} cannot be read ({error}): it is damaged") from error
    return document, _unflatten(document["state"], tensors, torch.device(device))


def _durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flatten(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        leaf: dict[str, Any] = {"$tensor": name}
        kept = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        if kept.dtype == torch.complex128:  # The one element type in use that safetensors does not know.
            leaf["complex"], kept = True, torch.view_as_real(kept)
        tensors[name] = kept
        if not value.is_contiguous():
            leaf["strides"] = list(value.stride())
        if value.device.type != "cpu":
            leaf["device"] = value.device.type
        return leaf
    if value is ABSENT:
        return {"$absent": True}
    if isinstance(value, Composed):
        return {"$composed": value.composition, "parts": _flatten(dict(value.parts()), name, tensors)}
    if isinstance(value, np.ndarray):
        return {"$array": _flatten(torch.tensor(value), name, tensors)}
    if isinstance(value, Mapping):
        # Integer keys (edge numbers) would come back from JSON as texts: pairs keep them.
        return {"$map": [[key, _flatten(item, f"{name}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_flatten(item, f"{name}/{i}", tensors) for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    return value


def _unflatten(value: Any, tensors: Mapping[str, torch.Tensor], device: torch.device) -> Any:
    if isinstance(value, list):
        return [_unflatten(item, tensors, device) for item in value]
    if isinstance(value, dict):
        if "$tensor" in value:
            tensor = tensors[value["$tensor"]]
            if "complex" in value:
                tensor = torch.view_as_complex(tensor)
            if "strides" in value:
                tensor = _laid_out(tensor, value["strides"])
            return tensor.to(device) if "device" in value else tensor
        if "$absent" in value:
            return ABSENT
        if "$array" in value:
            return _unflatten(value["$array"], tensors, torch.device("cpu")).numpy()
        if "$composed" in value:
            cls = composed(value["$composed"])
            if cls is None:
                raise CheckpointRefused(
                    f"the checkpoint holds a value of the kind {value['$composed']!r}, which is not installed here; "
                    "install the package it comes from"
                )
            return cls.of_parts(_unflatten(value["parts"], tensors, device))
        if "$float" in value:
            return float(value["$float"])
        return {key: _unflatten(item, tensors, device) for key, item in value["$map"]}
    return value


def _laid_out(tensor: torch.Tensor, strides: Sequence[int]) -> torch.Tensor:
    """The same values in memory as they lay: the order in which a sum adds, and so its last bits, depend on it."""
    thin = tensor[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in strides)]
    return torch.empty_strided(thin.shape, strides, dtype=tensor.dtype).copy_(thin).expand(tensor.shape)
