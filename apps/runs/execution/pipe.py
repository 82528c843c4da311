"""Messages between a worker and its child: msgpack maps, each behind its length, over two pipes."""

from __future__ import annotations

import os
import select
import struct
import threading
import time
from typing import Any

import msgpack

_LENGTH = struct.Struct("<I")


class Pipe:
    """One end. `send` may be called from any thread, `receive` from one at a time.

    Both file descriptors belong to the object. The other end's death is seen as the end of the stream, however it
    died: the system closes its descriptors.
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._received = bytearray()
        self._sending = threading.Lock()
        self._open = True

    def send(self, message: dict[str, Any]) -> bool:
        """Send a message; False when the other end is gone."""
        payload: bytes = msgpack.packb(message)
        data = memoryview(_LENGTH.pack(len(payload)) + payload)
        with self._sending:
            if not self._open:
                return False
            try:
                while data:
                    data = data[os.write(self._write_fd, data) :]
            except BrokenPipeError:
                return False
        return True

    def receive(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next message; None when the other end is gone.

        Raises:
            TimeoutError: nothing came within `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            message = self._cut()
            if message is not None:
                return message
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select([self._read_fd], [], [], left)
            if not readable:
                raise TimeoutError
            data = os.read(self._read_fd, 65536)
            if not data:
                return None
            self._received += data

    def close(self) -> None:
        with self._sending:
            if self._open:
                self._open = False
                os.close(self._write_fd)
                os.close(self._read_fd)

    def _cut(self) -> dict[str, Any] | None:
        if len(self._received) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._received)
        end = _LENGTH.size + length
        if len(self._received) < end:
            return None
        message: dict[str, Any] = msgpack.unpackb(bytes(self._received[_LENGTH.size : end]))
        del self._received[:end]
        return message
