"""PostgreSQL and Valkey of one data folder, started unless servers of one's own are configured."""

import fcntl
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

from config.launch import endpoints
from config.launch.postgres import Postgres
from config.launch.process import Process, stop_all
from config.launch.step import StepFailed, say
from config.launch.valkey import ValkeyServer

PATIENCE = 60.0  # s; a server that replays a long log after a crash may take its time


def wait_until(ready: Callable[[], bool], process: Process, what: str, patience: float = PATIENCE) -> None:
    """Wait until `ready()`; raises `StepFailed` when the process ends before or takes too long."""
    deadline = time.monotonic() + patience
    while not ready():
        status = process.exit_status()
        if status is not None:
            raise StepFailed(f"{what} ended with status {status}", "see its log above", process.log)
        if time.monotonic() > deadline:
            mend = "see its log above; stop what keeps the machine busy and start again"
            raise StepFailed(f"{what} did not get ready within {patience:.0f} s", mend, process.log)
        time.sleep(0.03)


class InUse(StepFailed):
    """The servers of this data folder belong to another process that is alive."""


class Services:
    """The embedded servers of one data folder. One process at a time holds them.

    postgres, valkey: which of the two to run; the other has a configured URL.
    """

    def __init__(self, data_dir: Path, *, postgres: bool = True, valkey: bool = True, for_tests: bool = False) -> None:
        self.data_dir = endpoints.private_folder(data_dir)
        self._wants_postgres, self._wants_valkey = postgres, valkey
        self._for_tests = for_tests
        self._held: IO[str] | None = None
        self.postgres: Postgres | None = None
        self.valkey: ValkeyServer | None = None

    def hold(self) -> None:
        """Take the data folder for this process. Raises `InUse` when a live process has it."""
        held = (self.data_dir / "services.lock").open("a+")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.seek(0)
            holder = held.read().strip() or "unknown"
            held.close()
            raise InUse(
                f"the servers of {self.data_dir} are in use by process {holder}",
                "stop that process (Ctrl-C in its terminal), or set ATTRACTOR_DATA_DIR to another folder",
            ) from None
        held.truncate(0)
        held.write(str(os.getpid()))
        held.flush()
        self._held = held

    def start(self) -> None:
        """Start what is wanted and wait until it answers. Takes the data folder first, if that is still to do."""
        if self._held is None:
            self.hold()
        known = self.settle_ports()
        if self._wants_postgres:
            self.postgres = Postgres(self.data_dir, known, durable=not self._for_tests)
            self.postgres.prepare()
            self.postgres.start()
        if self._wants_valkey:
            self.valkey = ValkeyServer(self.data_dir, known)
            self.valkey.start()
        if self.postgres is not None and self.postgres.process is not None:
            wait_until(self.postgres.answers, self.postgres.process, "PostgreSQL")
            self.postgres.provision(create_databases=self._for_tests)
        if self.valkey is not None and self.valkey.process is not None:
            wait_until(self.valkey.answers, self.valkey.process, "Valkey")

    def settle_ports(self) -> endpoints.Endpoints:
        """Replace every port that a stranger has taken by a free one; returns the endpoints."""
        known = endpoints.read(self.data_dir)
        postgres = self._own_port("PostgreSQL", known.postgres_port, {known.valkey_port})
        valkey = self._own_port("Valkey", known.valkey_port, {postgres})
        moved = replace(known, postgres_port=postgres, valkey_port=valkey)
        return moved if moved == known else endpoints.move(self.data_dir, moved)

    def _own_port(self, what: str, port: int, others: set[int]) -> int:
        if self._gets_free(port):
            return port
        free = endpoints.free_port(self.data_dir, others)
        say(f"  port {port} is taken by another program; {what} moves to {free}")
        return free

    def _gets_free(self, port: int) -> bool:
        """Whether the port is free, given that our own killed servers may need a moment to go."""
        deadline = time.monotonic() + 5
        while not endpoints.is_free(port):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    @property
    def held(self) -> bool:
        """Whether this process holds the data folder."""
        return self._held is not None

    def processes(self) -> list[Process]:
        """The servers' processes, for whoever watches over them."""
        servers = (self.postgres, self.valkey)
        return [server.process for server in servers if server is not None and server.process is not None]

    def stop(self) -> None:
        """Stop the servers and give the data folder back."""
        stop_all(self.processes())
        self.postgres = self.valkey = None
        if self._held is not None:
            self._held.close()
            self._held = None
