"""NetCDF-4 by the CF conventions 1.11: every port a variable over time and the axes of its values."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import h5netcdf
import numpy as np

from attractor.recording.column import Column
from attractor.recording.recording import Recording

CHUNK_BYTES: Final = 2**16
_AXES: Final = {
    "signal": ("sample",), "vector": ("unit",), "prob": ("unit",), "state3": ("unit", "component"),
    "matrix": ("row", "column"), "spin": ("chain", "unit"), "cat": ("chain", "unit"),
}  # fmt: skip


def write(recording: Recording, columns: Sequence[Column], into: Path, progress: Callable[[float], None]) -> None:
    """Write columns of a recording.

    Ports that spoke at the same ticks share a time axis, in seconds since the run began. The axes of a field say where
    its cells are, other axes count from 0. A complex port is two variables, `…_re` and `…_im`, a trigger and a spin an
    integer with its flags. Names are those of the ports with every other sign than letters, digits and _ replaced by _;
    `port` says the name itself.
    """
    times = _times(recording, columns)
    with h5netcdf.File(into, "w") as file:
        file.attrs["Conventions"] = "CF-1.11"
        for name, value in recording.facts.items():
            file.attrs[f"attractor_{name}"] = value if isinstance(value, str | int | float) else json.dumps(value)
        sizes = dict(times.values())
        for dimension, count in sizes.items():
            file.dimensions[dimension] = count
            axis = file.create_variable(dimension, (dimension,), "f8")
            axis.attrs.update({"units": "s", "long_name": "time since the run began"})
            tick = file.create_variable(f"tick_{dimension}", (dimension,), "i8")
            tick.attrs.update({"units": "1", "long_name": "tick of the run"})
        variables = {one.name: _variables(file, one, times[one.name][0]) for one in columns}
        _fill(recording, columns, file, times, variables, progress)


def _times(recording: Recording, columns: Sequence[Column]) -> dict[str, tuple[str, int]]:
    """By column, its time axis and how long that is."""
    digests = {one.name: hashlib.sha256() for one in columns}
    counts = dict.fromkeys(digests, 0)
    for part in recording.parts(columns):
        for name, (present, _) in part.values.items():
            said = part.ticks[present]
            digests[name].update(said.tobytes())
            counts[name] += len(said)
    axes: dict[bytes, str] = {}
    found = {}
    for name, digest in digests.items():
        axis = axes.setdefault(digest.digest(), "time" if not axes else f"time_{len(axes) + 1}")
        found[name] = (axis, counts[name])
    return found


def _variables(file: Any, one: Column, time: str) -> list[Any]:
    dimensions = [time]
    names = _AXES.get(one.kind, ("z", "y", "x")[-len(one.shape) :] if one.shape else ())
    for name, size in zip(names, one.shape, strict=True):
        dimensions.append(_axis(file, name, size, one.step))
    parts = ("_re", "_im") if one.dtype.kind == "c" else ("",)
    dtype = np.dtype("f4") if one.dtype.kind == "c" else np.dtype("i1") if one.dtype.kind == "b" else one.dtype
    row = max(1, one.elements * dtype.itemsize)
    length = file.dimensions[time].size
    made = []
    for part in parts:
        variable = file.create_variable(
            _free(file, re.sub(r"\W", "_", one.name, flags=re.ASCII) + part), tuple(dimensions), dtype,
            chunks=(max(1, min(length, CHUNK_BYTES // row)), *one.shape) if length else None,
            compression="gzip" if length else None, compression_opts=4 if length else None,
        )  # fmt: skip
        variable.attrs.update(
            {
                "units": one.unit or "1", "long_name": f"{one.kind} of {one.name}", "port": one.name, "kind": one.kind,
                "every": one.every, "coordinates": f"tick_{time}",
            }
        )  # fmt: skip
        if one.fs is not None:
            variable.attrs["sampling_frequency"] = one.fs
        if one.kind in ("trigger", "spin"):
            values = (0, 1) if one.kind == "trigger" else (-1, 1)
            variable.attrs["flag_values"] = np.array(values, "i1")
            variable.attrs["flag_meanings"] = "silent fired" if one.kind == "trigger" else "down up"
        made.append(variable)
    return made


def _axis(file: Any, name: str, size: int, step: float | None) -> str:
    """The dimension of an axis of values, with its coordinates; equal ones are shared."""
    dimension = f"{name}_{size}" if step is None else f"{name}_{size}_by_{step:g}".replace(".", "p").replace("-", "m")
    if dimension not in file.dimensions:
        file.dimensions[dimension] = size
        places = np.arange(size, dtype="i4") if step is None else np.arange(size) * step
        axis = file.create_variable(dimension, (dimension,), places.dtype, data=places)
        said = f"number of the {name}" if step is None else f"place along {name}, in units of length of the node"
        axis.attrs.update({"units": "1", "long_name": said})
        if name in "xyz":
            axis.attrs["axis"] = name.upper()
    return dimension


def _free(file: Any, name: str) -> str:
    """A name that is not taken and begins with a letter."""
    name = name if name[0].isalpha() else f"n{name}"
    while name in file.variables:
        name += "_"
    return name


def _fill(
    recording: Recording, columns: Sequence[Column], file: Any, times: dict[str, tuple[str, int]],
    variables: dict[str, list[Any]], progress: Callable[[float], None],
) -> None:  # fmt: skip
    at = dict.fromkeys(variables, 0)
    speaker = {axis: name for name, (axis, _) in reversed(list(times.items()))}
    done = 0
    for part in recording.parts(columns):
        for one in columns:
            present, data = part.values[one.name]
            here = slice(at[one.name], at[one.name] + len(data))
            axis = times[one.name][0]
            if not len(data):
                continue
            if speaker[axis] == one.name:
                file.variables[axis][here] = part.t[present]
                file.variables[f"tick_{axis}"][here] = part.ticks[present]
            parts = (data.real, data.imag) if one.dtype.kind == "c" else (data,)
            for variable, values in zip(variables[one.name], parts, strict=True):
                variable[here] = values.astype(variable.dtype, copy=False)
            at[one.name] = here.stop
        done += len(part.ticks)
        progress(done / max(1, recording.rows))
