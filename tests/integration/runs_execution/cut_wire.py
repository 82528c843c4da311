"""A wire between a client and a server that a test can cut."""

import contextlib
import socket
import threading
from collections.abc import Iterator


class CutWire:
    """Passes TCP connections on to a port of this machine, until they are cut.

    `sockets_pass` False makes it a proxy that knows no WebSockets: it answers each attempt at one with 502.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.sockets_pass = True
        self.upgrades = 0
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def cut(self) -> int:
        """End every open connection without a word; how many there were."""
        cut, self._open = self._open, []
        for one in cut:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        return len(cut) // 2

    def close(self) -> None:
        """Pass nothing on any more."""
        if self._listening.fileno() < 0:
            return
        # A thread that waits for a connection would still be given one.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            first = near.recv(65536)
            if b"upgrade: websocket" in first.lower():
                self.upgrades += 1
                if not self.sockets_pass:
                    near.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    near.close()
                    return
            far = socket.create_connection(("127.0.0.1", self.target))
            far.sendall(first)
            self._open += [near, far]
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()
            self._pass(far, near)
            return
        near.close()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                sink.sendall(part)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def cut_wire(target: int) -> Iterator[CutWire]:
    wire = CutWire(target)
    try:
        yield wire
    finally:
        wire.close()
