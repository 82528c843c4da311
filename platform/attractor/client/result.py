"""What a run has computed, for programs and notebooks."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 100
"""Rows of a table that a notebook shows."""


class Result(Mapping[str, Any]):
    """The result of a run that has succeeded, as the server gives it: a mapping, with the parts one asks for most.

    `outputs` has the last value of each port (up to 4096 elements), `tables` the tables; everything needed to compute
    the run again is in `seed`, `ticks`, `tier`, `device`, `versions` and `control_log`.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = dict(data)

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __iter__(self) -> Any:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return f"<Result {self.hash}: {', '.join([*self.outputs, *self.tables]) or 'no outputs'}>"

    @property
    def hash(self) -> str:
        """Of the final state of every node: equal for equal graph, seed, control log, tier, device class, versions."""
        return str(self._data["result_hash"])

    @property
    def outputs(self) -> dict[str, Any]:
        """The last value of each port, by `node.port`."""
        return dict(self._data.get("outputs", {}))

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """`{"columns": […], "rows": [[…], …]}` by `node.port`."""
        return dict(self._data.get("tables", {}))

    def array(self, port: str) -> NDArray[Any]:
        """The last value of a port as an array. Raises KeyError, which names the ports there are."""
        return np.asarray(self._of(self.outputs, port))

    def dataframe(self, port: str) -> pd.DataFrame:
        """A table as a pandas DataFrame (needs pandas). Raises KeyError, which names the tables there are."""
        import pandas as pd

        table = self._of(self.tables, port)
        return pd.DataFrame(table["rows"], columns=table["columns"])

    @staticmethod
    def _of(values: Mapping[str, Any], port: str) -> Any:
        if port not in values:
            raise KeyError(f"{port} is not in the result; there are: {', '.join(sorted(values)) or 'none'}")
        return values[port]

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(_brief(value))}</td></tr>"
            for name, value in sorted(self.outputs.items())
        )
        tables = "".join(_html_table(name, table) for name, table in sorted(self.tables.items()))
        return f"<p><code>{html.escape(self.hash)}</code></p><table>{rows}</table>{tables}"


def _brief(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        shape = "×".join(map(str, np.shape(value))) if not _ragged(value) else str(len(value))
        return f"[{shape}]"
    text = str(value)
    return text if len(text) <= 80 else text[:80] + "…"


def _ragged(value: list[Any]) -> bool:
    try:
        np.shape(value)
    except ValueError:
        return True
    return False


def _html_table(name: str, table: Mapping[str, Any]) -> str:
    head = "".join(f"<th>{html.escape(str(column))}</th>" for column in table["columns"])
    cells = ("".join(f"<td>{html.escape(_brief(cell))}</td>" for cell in row) for row in table["rows"][:MAX_ROWS])
    rows = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<p>{html.escape(name)}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
