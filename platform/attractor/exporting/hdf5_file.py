"""HDF5: a group for every node, in it one for every port with the datasets `values`, `ticks` and `t`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import pyarrow as pa

from attractor.exporting.flat import arrays_of
from attractor.recording.column import Column
from attractor.recording.recording import Recording

CHUNK_BYTES: Final = 2**16


def write(recording: Recording, columns: Sequence[Column], into: Path, progress: Callable[[float], None]) -> None:
    """Write columns of a recording.

    The group of a port has the attributes kind, unit, every and rate (ticks of its node a second), that of a signal fs
    (samples a second). The file's own attributes say of which run it is.
    """
    with h5py.File(into, "w") as file:
        for name, value in recording.facts.items():
            file.attrs[name] = value if isinstance(value, str | int | float | bool) else json.dumps(value)
        for one in columns:
            group = file.require_group(one.node).create_group(one.port)
            group.attrs.update({"kind": one.kind, "unit": one.unit, "every": one.every, "rate": one.rate})
            if one.fs is not None:
                group.attrs["fs"] = one.fs
            for name, shape, dtype in (("values", one.shape, one.dtype), ("ticks", (), "i8"), ("t", (), "f8")):
                item = max(1, one.elements * one.dtype.itemsize) if shape else 8
                group.create_dataset(
                    name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(max(1, CHUNK_BYTES // item), *shape),
                    compression="gzip", compression_opts=4, shuffle=True,
                )  # fmt: skip
            group["values"].attrs["unit"] = one.unit
            group["t"].attrs["unit"] = "s"
        done = 0
        for part in recording.parts(columns):
            for one in columns:
                present, data = part.values[one.name]
                group = file[f"{one.node}/{one.port}"]
                for name, new in (("values", data), ("ticks", part.ticks[present]), ("t", part.t[present])):
                    dataset = group[name]
                    dataset.resize(len(dataset) + len(new), axis=0)
                    dataset[len(dataset) - len(new) :] = new
            done += len(part.ticks)
            progress(done / max(1, recording.rows))


def write_table(table: pa.Table, into: Path) -> None:
    """Write a table: a dataset for every column. Texts are UTF-8, numbers that are not there NaN."""
    with h5py.File(into, "w") as file:
        for name, values in arrays_of(table).items():
            text = values.dtype.kind in "OU"
            data = np.asarray(values, object) if text else values
            # A slash would make a group of it.
            file.create_dataset(name.replace("/", "∕"), data=data, dtype=h5py.string_dtype() if text else None)
