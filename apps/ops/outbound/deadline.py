"""The moment at which a call of another server is over, however slowly that drips."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Final, final
from weakref import WeakSet

NEVER: Final = float("inf")


class Late(OSError):
    """The time of the call is over."""


@final
class Deadline:
    """Ends the connections of one session at a moment, whatever they are waiting for.

    The patience of a socket is for one reading: who sends a byte now and then would be listened to for days. So a timer
    shuts the connections; who reads sees them end, and asks here why.
    """

    def __init__(self) -> None:
        self._at = NEVER
        self._lock = threading.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()

    @contextlib.contextmanager
    def until(self, moment: float) -> Iterator[None]:
        """A block that ends at a moment of the monotonic clock. Raises `Late` when it is over, whatever came of it:
        an answer whose end was cut off can look like a whole one."""
        self._at = moment
        timer = threading.Timer(max(0.0, moment - monotonic()), self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except OSError as broken:
            self._check(broken)
            raise
        else:
            self._check()
        finally:
            timer.cancel()
            self._at = NEVER

    def left(self) -> float:
        """Seconds until then. Raises `Late` if there are none."""
        self._check()
        return self._at - monotonic()

    def watch(self, connected: socket.socket) -> None:
        """Have a connection ended too. Raises `Late` if it comes too late for that."""
        with self._lock:
            self._sockets.add(connected)
        self._check()

    def _check(self, broken: OSError | None = None) -> None:
        if monotonic() >= self._at:
            raise Late("it took too long") from broken

    def _end(self) -> None:
        with self._lock:
            connected = list(self._sockets)
        for one in connected:
            # Not by the method of a TLS socket, which takes away what another thread is reading by.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)
