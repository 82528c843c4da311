"""The whole stack of `make run`: servers, migrated and seeded database, front end, worker, sweeper, web."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from config.launch import front_end
from config.launch.endpoints import kept_secret, write_private
from config.launch.keeper import LINUX, die_with_keeper
from config.launch.process import Process, environment, stop_all
from config.launch.services import Services, wait_until
from config.launch.stamp import Stamp, content_hash
from config.launch.step import StepFailed, say, step
from config.layers import ROOT
from config.schema import Configuration

DEMO_EMAIL = "demo@attractor.example"
RUNNING = "running.json"  # who runs the stack and where it listens, while it is healthy
RESTARTS, WITHIN = 5, 60.0  # a program that dies more often than this many times in so many seconds is given up


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM: an orderly end is wanted."""


class Stack:
    """Everything that runs, for one configuration and data folder."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.data_dir = (ROOT / configuration.data_dir).resolve()
        self.services = Services(
            self.data_dir,
            postgres=configuration.database.url is None,
            valkey=configuration.valkey.url is None,
            for_tests=configuration.environment == "test",
        )
        self.programs: list[Process] = []
        self._listener: socket.socket | None = None  # kept open for a web server that is started again

    # --- before anything serves ---------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Servers up, database migrated and seeded."""
        embedded = [
            name
            for name, configured in (
                ("PostgreSQL", self.configuration.database.url),
                ("Valkey", self.configuration.valkey.url),
            )
            if configured is None
        ]
        self.services.hold()
        (self.data_dir / RUNNING).unlink(missing_ok=True)  # of a launcher that was killed
        if embedded:
            with step(f"Starting {' and '.join(embedded)} ({self.data_dir})"):
                self.services.start()
        self._migrate_and_seed()

    def _migrate_and_seed(self) -> None:
        if self.configuration.database.url is not None and self.configuration.database.owner_url is None:
            raise StepFailed(
                "ATTRACTOR_DATABASE_URL is set, but not the URL of the role that owns the database",
                "set ATTRACTOR_DATABASE_OWNER_URL too: migrations run as the owner",
            )
        inputs = content_hash(
            path
            for pattern in (
                "apps/*/migrations/*.py",
                "apps/accounts/**/*.py",
                "apps/presets/**/*.py",
                "apps/workspaces/*.py",
                "presets/*.json",
                "requirements/lock.txt",  # Django and allauth bring migrations of their own
            )
            for path in ROOT.glob(pattern)
        )
        done = Stamp(self.data_dir / "stamps" / "database")
        # The stamp speaks of the embedded database only; another server may have been emptied meanwhile.
        if self.configuration.database.url is None and done.matches(inputs):
            return
        with step("Migrating the database as its owner"):
            self.manage("migrate", "migrate", "--no-input", owner=True)
        with step("Seeding the built-in presets"):
            self.manage("seed_presets", "seed_presets")
        if self._has_demo:
            with step("Seeding the demo account"):
                kept_secret(self.data_dir / "demo_password", 12)
                self.manage("seed_demo", "seed_demo", "--email", DEMO_EMAIL, "--password-file", self._demo_password)
        if self.configuration.database.url is None:
            done.set(inputs)

    @property
    def _has_demo(self) -> bool:
        """A site that people use has no account that nobody has made, whoever knows its password."""
        return self.configuration.environment != "production"

    @property
    def _demo_password(self) -> str:
        return str(self.data_dir / "demo_password")

    def manage(self, name: str, *arguments: str, owner: bool = False) -> None:
        """Run a management command to its end."""
        env = environment(ATTRACTOR_DATABASE_ROLE="owner" if owner else "app")
        Process(name, [sys.executable, ROOT / "manage.py", *arguments], self.data_dir, env=env, cwd=ROOT).run(
            f"manage.py {' '.join(arguments)} failed", "see its log above"
        )

    # --- what serves --------------------------------------------------------------------------------------------

    def serve(self) -> str:
        """Start worker, sweeper and web server, wait until all are healthy; returns the URL."""
        listener = self._listener = self._listen()
        host, port = listener.getsockname()[:2]
        url = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}/"  # noqa: S104 compared only  # nosec B104
        worker_ready = self.data_dir / "worker.ready"
        worker_ready.unlink(missing_ok=True)
        python = sys.executable
        level = self.configuration.log.level
        worker = Process(
            "worker",
            [python, "-m", "celery", "-A", "config.celery", "worker", "--queues", "runs", "--loglevel", level],
            self.data_dir,
            env=environment(WORKER_READY_FILE=str(worker_ready)),
            cwd=ROOT,
            grace=8,  # on SIGTERM its runs keep a checkpoint and go back to the queue
        )
        sweeper = Process("sweeper", [python, ROOT / "manage.py", "sweep"], self.data_dir, cwd=ROOT)
        # What it is carrying comes to its end first; a receiver may take its time.
        grace = self.configuration.webhooks.timeout + 5
        courier = Process("courier", [python, ROOT / "manage.py", "deliver"], self.data_dir, cwd=ROOT, grace=grace)
        web = Process(
            "web",
            [
                python,
                "-m",
                "uvicorn",
                "config.asgi:application",
                "--fd",
                str(listener.fileno()),
                "--ws",
                "websockets-sansio",
                "--ws-per-message-deflate",  # frames are floats: compressing them costs much and gains little
                "false",
                "--workers",
                str(self.configuration.web.processes),
                "--timeout-graceful-shutdown",
                "3",
                "--no-server-header",
                # Whose word about a caller's address and scheme is taken, `web.behind_proxy` says, and the application
                # reads it itself. uvicorn would take that of every program of this machine.
                "--no-proxy-headers",
            ],
            self.data_dir,
            cwd=ROOT,
            pass_fds=[listener.fileno()],
        )
        with step("Starting the worker, the sweeper, the courier and the web server"):
            for process in (worker, sweeper, courier, web):
                process.start()
                self.programs.append(process)
            wait_until(lambda: self._healthy(url), web, "the web server")
            wait_until(worker_ready.exists, worker, "the Celery worker")
            for name, process in (("sweeper", sweeper), ("courier", courier)):
                if not process.is_running():
                    raise StepFailed(f"the {name} ended", "see its log above", process.log)
        return url

    def _listen(self) -> socket.socket:
        """The site's listening socket: on the configured port or the next free one.

        It is bound here and handed to the web server, so that no other start can take the port in between, and a
        web server that is started again gets the same one.
        """
        host, wanted = self.configuration.web.host, self.configuration.web.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for port in range(wanted, min(wanted + 100, 65_536)):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # What is accepted inherits it. uvicorn takes a socket that it is handed for a Unix one and does not set it:
            # the body of every answer, and frames, would wait for the client's delayed acknowledgement, some 40 ms.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                listener.bind((host, port))
            except OSError as error:
                listener.close()
                if error.errno != errno.EADDRINUSE:
                    mend = "set ATTRACTOR__WEB__HOST and ATTRACTOR__WEB__PORT to an address of this machine"
                    raise StepFailed(f"cannot listen on {host}:{port}: {error.strerror}", mend) from None
                continue
            if port != wanted:
                say(f"  port {wanted} is taken by another program; the site listens on {port}")
            return listener
        raise StepFailed(f"no free port between {wanted} and {wanted + 99}", "set ATTRACTOR__WEB__PORT to a free one")

    def _healthy(self, url: str) -> bool:
        try:
            with urllib.request.urlopen(f"{url}health/ready", timeout=5) as answer:  # noqa: S310 http, our own  # nosec B310
                return bool(answer.status == 200)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False

    def watch(self) -> None:
        """Start again what dies, until interrupted; give up on a program that keeps dying."""
        deaths: dict[str, deque[float]] = {}
        while True:
            for process in [*self.services.processes(), *self.programs]:
                status = process.exit_status()
                if status is None:
                    continue
                now = time.monotonic()
                recent = deaths.setdefault(process.name, deque(maxlen=RESTARTS))
                if len(recent) == RESTARTS and now - recent[0] < WITHIN:
                    raise StepFailed(
                        f"{process.name} ended {RESTARTS + 1} times within {WITHIN:.0f} s (status {status})",
                        "see its log above",
                        process.log,
                    )
                recent.append(now)
                say(f"{process.name} ended with status {status}; starting it again (log: {process.log}.1)")
                process.stop()
                process.start()
            time.sleep(0.3)

    def stop(self) -> None:
        """Stop what serves, then what it is served by."""
        (self.data_dir / RUNNING).unlink(missing_ok=True)
        stop_all(self.programs)
        self.programs = []
        if self._listener is not None:
            self._listener.close()
        self.services.stop()

    # --- the two ways to use it ---------------------------------------------------------------------------------

    def up(self) -> None:
        """Start everything, say where it is, and stay until interrupted."""
        begin = time.monotonic()
        say(f"Attractor ({self.configuration.environment}), data in {self.data_dir}")
        front_end.build()
        self.prepare()
        url = self.serve()
        running: dict[str, Any] = {"pid": os.getpid(), "url": url}
        login = ""
        if self._has_demo:
            password = Path(self._demo_password).read_text(encoding="utf-8")
            running |= {"email": DEMO_EMAIL, "password": password}
            login = f"  demo login:  {DEMO_EMAIL}  {password}\n"
        write_private(self.data_dir / RUNNING, json.dumps(running))
        say(
            f"\nAttractor is ready after {time.monotonic() - begin:.1f} s:  {url}\n"
            f"{login}"
            f"  logs:        {self.data_dir / 'logs'}\n"
            "  Ctrl-C stops everything.\n"
        )
        self.watch()

    def already_running(self) -> str | None:
        """Where the stack of this data folder listens that another process holds; None while it is starting."""
        path = self.data_dir / RUNNING
        if not path.exists():
            return None
        running = json.loads(path.read_text(encoding="utf-8"))
        return f"Attractor already runs for {self.data_dir}: {running['url']} (process {running['pid']})"

    def execute(self, command: list[str]) -> int:
        """Run one command beside prepared servers; returns its exit status."""
        self.prepare()
        return run_in_front(command)


def run_in_front(command: list[str]) -> int:
    """Run a command on this terminal; it ends with this process. Returns its exit status."""
    try:
        with subprocess.Popen(command, preexec_fn=die_with_keeper if LINUX else None) as process:  # noqa: S603, PLW1509
            try:
                return process.wait()
            finally:
                process.terminate()
    except FileNotFoundError:
        raise StepFailed(f"{command[0]} was not found", "give the path of a program that exists") from None


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `Interrupted`, once: the way down is not interrupted again."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    before: dict[signal.Signals, Callable[..., object] | int | None] = {
        one: signal.signal(one, interrupt) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
