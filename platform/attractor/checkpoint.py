"""Checkpoints: a session on disk, as safetensors and JSON. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from attractor.energy import MODELS, EnergyModel
from attractor.errors import CheckpointRefused
from attractor.node import ABSENT

FORMAT: Final = 1
_TENSORS: Final = "state.safetensors"
_HEADER: Final = "session.json"


def write(folder: Path, header: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write a checkpoint so that the folder holds all of it or does not exist.

    Args:
        folder: where; an older checkpoint there is replaced.
        header: JSON-able facts (graph hash, seed, tick, control log).
        state: nested dicts and lists of tensors, JSON-able values and ABSENT.
    """
    tensors: dict[str, torch.Tensor] = {}
    tree = _flatten(state, "state", tensors)
    blob = save(tensors)
    document = {
        **header, "format": FORMAT, "state": tree, "tensors_sha256": hashlib.sha256(blob).hexdigest(),
    }  # fmt: skip
    document["sha256"] = _digest(document)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _durably(fresh / _TENSORS, blob)
        _durably(fresh / _HEADER, json.dumps(document, sort_keys=True).encode())
        _put_in_place(fresh, folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _put_in_place(fresh: Path, folder: Path) -> None:
    """Rename a written folder; an older one steps aside whole, and comes back when the new one fails."""
    aside = fresh.with_name(fresh.name + ".old")
    older = folder.exists()
    if older:
        folder.rename(aside)
    try:
        fresh.rename(folder)
    except BaseException:
        if older:
            aside.rename(folder)
        raise
    _settle(folder.parent)
    if older:
        shutil.rmtree(aside)


def _settle(directory: Path) -> None:
    """Make the renames in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(document: Mapping[str, Any]) -> str:
    """SHA-256 over everything in a header but its own hash."""
    rest = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and state of a checkpoint.

    Raises:
        CheckpointRefused: it is absent, damaged or of another format.
    """
    try:
        document = json.loads((folder / _HEADER).read_bytes())
        blob = (folder / _TENSORS).read_bytes()
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointRefused(f"{folder} holds no readable checkpoint ({error}); take another one") from error
    if not isinstance(document, dict):
        raise CheckpointRefused(f"{folder} holds no readable checkpoint (its header is no object); take another one")
    if document.get("format") != FORMAT:
        raise CheckpointRefused(
            f"the checkpoint has format {document.get('format')!r}, this version reads {FORMAT}; run it again"
        )
    if document.get("sha256") != _digest(document):
        raise CheckpointRefused(f"{folder / _HEADER} does not have the hash it names: it is damaged")
    if hashlib.sha256(blob).hexdigest() != document["tensors_sha256"]:
        raise CheckpointRefused(f"{folder / _TENSORS} does not have the hash its header names: it is damaged")
    try:
        tensors = load(blob)
    except SafetensorError as error:
        raise CheckpointRefused(f"{folder / _TENSORS} cannot be read ({error}): it is damaged") from error
    return document, _unflatten(document["state"], tensors)


def _durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flatten(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"$tensor": name}
    if value is ABSENT:
        return {"$absent": True}
    if isinstance(value, EnergyModel):
        return {"$model": type(value).__name__, "parts": _flatten(dict(value.parts()), name, tensors)}
    if isinstance(value, np.ndarray):
        tensors[name] = torch.from_numpy(value).contiguous()
        return {"$array": name}
    if isinstance(value, Mapping):
        # Integer keys (edge numbers) would come back from JSON as texts: pairs keep them.
        return {"$map": [[key, _flatten(item, f"{name}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_flatten(item, f"{name}/{i}", tensors) for i, item in enumerate(value)]
    return value


def _unflatten(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unflatten(item, tensors) for item in value]
    if isinstance(value, dict):
        if "$tensor" in value:
            return tensors[value["$tensor"]]
        if "$absent" in value:
            return ABSENT
        if "$array" in value:
            return tensors[value["$array"]].numpy()
        if "$model" in value:
            return MODELS[value["$model"]].of_parts(_unflatten(value["parts"], tensors))
        return {key: _unflatten(item, tensors) for key, item in value["$map"]}
    return value
