"""The binary form of everything that crosses the run socket: one msgpack map a message, `kind` first.

`frame` carries an array as raw little-endian C-order bytes (`codec: raw`) or JSON-able objects (`codec: json`);
`scalar` carries plain numbers. The same bytes travel through the Valkey stream and the socket.
"""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from apps.live.frame import SCALAR, LiveFrame

MAX_CLIENT_MESSAGE = 4096
"""Longest message in bytes a client may send; the largest legal one is far below."""

_WIRE: dict[str, np.dtype[Any]] = {
    "f4": np.dtype("<f4"),
    "i1": np.dtype("i1"),
    "i8": np.dtype("<i8"),
    "u1": np.dtype("u1"),
}
_WIRE_OF_KIND = {"f": "f4", "b": "u1"}


class UnknownForm(ValueError):
    """A message or an array that this protocol has no form for; the text says what was met."""


def pack(message: dict[str, Any]) -> bytes:
    """One message as msgpack bytes."""
    packed: bytes = msgpack.packb(message, use_bin_type=True)
    return packed


def unpack(payload: bytes, limit: int | None = None) -> dict[str, Any]:
    """The message in `payload`.

    Raises:
        UnknownForm: not msgpack, not a map with string keys, or longer than `limit` bytes.
    """
    if limit is not None and len(payload) > limit:
        raise UnknownForm(f"the message has {len(payload)} bytes; at most {limit} are read")
    try:
        message = msgpack.unpackb(payload, raw=False, strict_map_key=True)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise UnknownForm(f"the message is not msgpack: {error or type(error).__name__}") from error
    if not isinstance(message, dict) or not all(isinstance(key, str) for key in message):
        raise UnknownForm("the message is not a map with text keys")
    return message


def encode(frame: LiveFrame) -> bytes:
    """A frame's message. float64 is sent as f4, every wide integer as i8, bool as u1, complex64 as f4 `[..., 2]`.

    Raises:
        UnknownForm: an array type that none of these holds.
    """
    head: dict[str, Any] = {
        "kind": "frame",
        "run": frame.run,
        "node": frame.node,
        "port": frame.port,
        "source": frame.source,
    }
    if frame.kind == SCALAR and isinstance(frame.data, np.ndarray):
        head |= {
            "kind": "scalar",
            "t": frame.t,
            "ticks": frame.ticks.tolist(),
            "values": frame.data.reshape(len(frame.ticks)).tolist(),
            "seq": frame.seq,
        }
        return pack(head)
    head |= {
        "value_kind": frame.kind,
        "tick": frame.tick,
        "t": frame.t,
        "ticks": frame.ticks.tolist(),
        "seq": frame.seq,
    }
    if isinstance(frame.data, np.ndarray):
        name, array = _wire_form(frame.data)
        head |= {"dtype": name, "shape": list(array.shape), "codec": "raw", "data": array.tobytes()}
    else:
        head |= {"dtype": "json", "shape": [len(frame.data)], "codec": "json", "data": frame.data}
    return pack(head)


def decode(message: dict[str, Any]) -> LiveFrame:
    """The frame of an unpacked `frame` or `scalar` message. Arrays are read-only views of the message's bytes.

    Raises:
        UnknownForm: another kind of message, or bytes that do not fill the shape named.
    """
    kind = message.get("kind")
    if kind == "scalar":
        data: NDArray[Any] | list[Any] = np.asarray(message["values"], dtype=np.float32)
        value_kind = SCALAR
    elif kind == "frame":
        value_kind = message["value_kind"]
        data = message["data"] if message["codec"] == "json" else _array(message)
    else:
        raise UnknownForm(f"a message of kind {kind!r} holds no frame")
    return LiveFrame(
        run=message["run"],
        node=message["node"],
        port=message["port"],
        kind=value_kind,
        source=message["source"],
        ticks=np.asarray(message["ticks"], dtype=np.int64),
        t=message["t"],
        data=data,
        seq=message["seq"],
    )


def _array(message: dict[str, Any]) -> NDArray[Any]:
    dtype = _WIRE.get(message["dtype"])
    if dtype is None:
        raise UnknownForm(f"unknown dtype {message['dtype']!r}")
    try:
        array: NDArray[Any] = np.frombuffer(message["data"], dtype=dtype).reshape(message["shape"])
    except ValueError as error:
        raise UnknownForm(f"{len(message['data'])} bytes do not fill {message['shape']}: {error}") from error
    return array


def _wire_form(data: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    if data.dtype == np.complex64:
        # A complex value has no msgpack or DataView form; (re, im) as a last axis has.
        data = np.ascontiguousarray(data).view(np.float32).reshape(*data.shape, 2)
    kind, size = data.dtype.kind, data.dtype.itemsize
    if kind in "iu" and size == 1:
        name = f"{kind}1"
    elif kind in "iu" and (kind, size) != ("u", 8):
        name = "i8"
    elif kind in _WIRE_OF_KIND:
        name = _WIRE_OF_KIND[kind]
    else:
        raise UnknownForm(f"an array of {data.dtype} has no form on the socket")
    return name, np.ascontiguousarray(data, dtype=_WIRE[name])
