"""Where the embedded services of one data folder listen, and their passwords.

The settings of every process read this file; the launcher writes it again when a port had to move. It is
made on first need, before any server runs, so that a process can be configured while the servers start.
"""

import fcntl
import json
import os
import secrets
import socket
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "services.json"
DATABASE = "attractor"
OWNER = "attractor_owner"
APP = "attractor_app"
# Below the range from which systems take the ports of outgoing connections, which could grab one in between.
FIRST_PORT, PORTS = 20_000, 12_000


@dataclass(frozen=True)
class Endpoints:
    """Ports on 127.0.0.1 and passwords of the embedded PostgreSQL and Valkey."""

    postgres_port: int
    valkey_port: int
    superuser_password: str
    owner_password: str
    app_password: str
    valkey_password: str

    def database_url(self, role: str, database: str = DATABASE) -> str:
        """URL of `database` as `OWNER` or `APP`."""
        password = {OWNER: self.owner_password, APP: self.app_password}[role]
        return f"postgresql://{role}:{password}@127.0.0.1:{self.postgres_port}/{database}"

    @property
    def valkey_url(self) -> str:
        return f"redis://:{self.valkey_password}@127.0.0.1:{self.valkey_port}/0"


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether nothing listens on the TCP port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(data_dir: Path, skip: Collection[int] = ()) -> int:
    """A free port; the search starts at a place of the folder's own, so that two checkouts rarely meet."""
    start = zlib.crc32(str(data_dir).encode()) % PORTS
    for step in range(PORTS):
        port = FIRST_PORT + (start + step) % PORTS
        if port not in skip and is_free(port):
            return port
    raise RuntimeError(f"no free TCP port between {FIRST_PORT} and {FIRST_PORT + PORTS}; stop some servers")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file; it goes with the process that holds it."""
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write_private(path: Path, text: str) -> None:
    """Write the file so that nobody else can read it, and so that it is never seen half written."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    partial.replace(path)


def private_folder(path: Path) -> Path:
    """The folder, made for its owner alone when it is missing."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def read(data_dir: Path) -> Endpoints:
    """The endpoints of a data folder; ports and passwords are drawn on first need."""
    private_folder(data_dir)
    path = data_dir / FILE
    with locked(data_dir / f"{FILE}.lock"):
        if not path.exists():
            postgres = free_port(data_dir)
            drawn = Endpoints(postgres, free_port(data_dir, {postgres}), *(secrets.token_urlsafe(24) for _ in range(4)))
            write_private(path, json.dumps(asdict(drawn), indent=1))
        return Endpoints(**json.loads(path.read_text(encoding="utf-8")))


def move(data_dir: Path, moved: Endpoints) -> Endpoints:
    """Note new ports, where the old ones are taken by a stranger."""
    with locked(data_dir / f"{FILE}.lock"):
        write_private(data_dir / FILE, json.dumps(asdict(moved), indent=1))
    return moved


def kept_secret(path: Path, length: int) -> str:
    """A random secret kept in a private file: drawn the first time, read ever after."""
    private_folder(path.parent)
    with locked(path.with_name(f"{path.name}.lock")):
        if not path.exists():
            write_private(path, secrets.token_urlsafe(length))
        return path.read_text(encoding="utf-8").strip()
