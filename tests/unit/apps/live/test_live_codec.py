"""The binary frames, against msgpack and struct as an independent reader (a browser) would use them."""

import struct

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.live import codec
from apps.live.frame import LiveFrame


def a_frame(data, ticks=None, kind="vector", seq=1):
    ticks = np.arange(len(data), dtype=np.int64) if ticks is None else np.asarray(ticks, dtype=np.int64)
    return LiveFrame("r", "n", "p", kind, "src.out", ticks, float(ticks[-1]) / 100, data, seq)


def test_an_independent_reader_finds_the_numbers():
    data = np.array([[1.5, -2.0], [3.25, 1e-3], [7.0, 9.0]], dtype=np.float32)
    message = msgpack.unpackb(codec.encode(a_frame(data, [10, 20, 30], seq=4)))
    assert message == {
        "kind": "frame",
        "run": "r",
        "node": "n",
        "port": "p",
        "source": "src.out",
        "value_kind": "vector",
        "tick": 30,
        "t": 0.3,
        "ticks": [10, 20, 30],
        "dtype": "f4",
        "shape": [3, 2],
        "seq": 4,
        "codec": "raw",
        "data": struct.pack("<6f", 1.5, -2.0, 3.25, 1e-3, 7.0, 9.0),
    }


@given(
    shape=st.lists(st.integers(0, 5), min_size=0, max_size=3),
    ticks=st.integers(1, 4),
    dtype=st.sampled_from(["f4", "i1", "u1", "i8"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_arrays_survive_the_round_trip(shape, ticks, dtype, seed):
    draw = np.random.default_rng(seed)
    data = draw.integers(0, 100, size=(ticks, *shape)).astype(dtype)
    frame = a_frame(data)
    back = codec.decode(codec.unpack(codec.encode(frame)))
    assert back.data.dtype == data.dtype
    np.testing.assert_array_equal(back.data, data)
    np.testing.assert_array_equal(back.ticks, frame.ticks)
    assert (back.run, back.node, back.port, back.kind, back.source, back.t, back.seq) == (
        "r", "n", "p", "vector", "src.out", frame.t, 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given_type", "sent"),
    [("f8", "f4"), ("f2", "f4"), (">f4", "f4"), ("i4", "i8"), ("bool", "u1"), ("int8", "i1"), ("uint8", "u1")],
)
def test_every_port_type_has_one_wire_type(given_type, sent):
    data = np.array([[0, 1, 1], [1, 0, 1]]).astype(given_type)
    message = codec.unpack(codec.encode(a_frame(data)))
    assert message["dtype"] == sent
    np.testing.assert_array_equal(codec.decode(message).data, data.astype(float))


def test_strided_views_are_sent_as_their_values():
    data = np.arange(24, dtype=np.float32).reshape(2, 12)[:, ::5]
    np.testing.assert_array_equal(codec.decode(codec.unpack(codec.encode(a_frame(data)))).data, data)


def test_complex_values_gain_an_axis_of_real_and_imaginary_part():
    data = np.array([[1 + 2j, 3 - 4j]], dtype=np.complex64)
    back = codec.decode(codec.unpack(codec.encode(a_frame(data, kind="cfield"))))
    np.testing.assert_array_equal(back.data, [[[1, 2], [3, -4]]])


def test_scalars_are_plain_numbers():
    frame = a_frame(np.array([0.5, 0.25], dtype=np.float32), [3, 6], kind="scalar", seq=9)
    message = codec.unpack(codec.encode(frame))
    assert message["kind"] == "scalar"
    assert message["values"] == [0.5, 0.25]
    assert message["ticks"] == [3, 6]
    assert message["seq"] == 9
    np.testing.assert_array_equal(codec.decode(message).data, frame.data)


def test_tables_are_objects():
    rows = [{"columns": ["gate"], "rows": [["XOR"]]}]
    frame = a_frame(rows, [7], kind="table")
    message = codec.unpack(codec.encode(frame))
    assert (message["codec"], message["dtype"], message["shape"]) == ("json", "json", [1])
    assert codec.decode(message).data == rows


def test_an_array_without_a_form_is_refused():
    with pytest.raises(codec.UnknownForm, match="datetime64"):
        codec.encode(a_frame(np.zeros(2, dtype="datetime64[s]")))


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xc1", b"not msgpack at all", msgpack.packb([1, 2]), msgpack.packb({1: 2}), msgpack.packb("text"),
     msgpack.packb({"op": "x"})[:-1], msgpack.packb({"op": "x" * 5000})],
)  # fmt: skip
def test_bad_client_bytes_are_named_and_never_crash(payload):
    with pytest.raises(codec.UnknownForm):
        codec.unpack(payload, limit=codec.MAX_CLIENT_MESSAGE)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_map_or_refused(payload):
    try:
        message = codec.unpack(payload, limit=codec.MAX_CLIENT_MESSAGE)
    except codec.UnknownForm:
        return
    assert isinstance(message, dict)


def test_a_frame_whose_bytes_do_not_fill_its_shape_is_refused():
    message = codec.unpack(codec.encode(a_frame(np.zeros((2, 3), dtype=np.float32))))
    with pytest.raises(codec.UnknownForm, match="do not fill"):
        codec.decode({**message, "shape": [2, 4]})
    with pytest.raises(codec.UnknownForm, match="dtype"):
        codec.decode({**message, "dtype": "f9"})
    with pytest.raises(codec.UnknownForm, match="holds no frame"):
        codec.decode({"kind": "status"})
