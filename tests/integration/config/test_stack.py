"""`make run` for real: it starts, starts again, refuses a twin, heals, and leaves no process behind."""

import http.client
import http.cookiejar
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from config.launch import stack as stack_module
from config.launch.stack import RUNNING, Stack
from config.launch.step import StepFailed
from config.layers import ROOT, load
from tests.running_stack import RunningStack, free_port, started_stack

# The tests share stacks, which two processes would both start.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("stack")]


def get(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 our own server
        return answer.status, answer.read().decode()


class Person:
    """Somebody at a browser, logged in with the demo account."""

    def __init__(self, stack: RunningStack) -> None:
        self.cookies = http.cookiejar.CookieJar()
        self.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.site = stack.url
        login = f"{stack.url}accounts/login/"
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self._send(login, None, {}))
        assert token is not None
        form = {"csrfmiddlewaretoken": token.group(1), "login": stack.email, "password": stack.password}
        self._send(login, urllib.parse.urlencode(form).encode(), {"Referer": login})

    def _send(self, url: str, data: bytes | None, headers: dict[str, str]) -> str:
        request = urllib.request.Request(url, data, headers)  # noqa: S310 our own server
        with self.browser.open(request, timeout=30) as answer:
            body: bytes = answer.read()
        return body.decode()

    def api(self, path: str, **fields: Any) -> Any:
        """GET, or POST of fields, below /api/v1/."""
        token = next(cookie.value for cookie in self.cookies if cookie.name == "csrftoken")
        headers = {"X-CSRFToken": token or "", "Content-Type": "application/json", "Referer": self.site}
        data = json.dumps(fields).encode() if fields else None
        return json.loads(self._send(f"{self.site}api/v1/{path}", data, headers))

    def workspace(self) -> str:
        found = self.api("workspaces/")
        rows = found["results"] if isinstance(found, dict) else found
        return f"workspaces/{rows[0]['slug']}/"

    def start_run(self) -> str:
        """Start a run of the built-in preset, a quarter of its length; returns its path below /api/v1/."""
        workspace = self.workspace()
        found = self.api(f"{workspace}projects/")
        project = (found["results"] if isinstance(found, dict) else found)[0]["id"]
        graph = self.api(f"{workspace}graphs/", project=project, preset="emergent_logic")
        run = self.api(f"{workspace}runs/", graph=graph["id"], ticks=2041)
        return f"{workspace}runs/{run['id']}/"


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def command_line(process: psutil.Process) -> str:
    """Its command line, empty for one that has ended."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def alive(processes: list[psutil.Process]) -> list[str]:
    """Command lines of those that still run."""
    return [line for line in map(command_line, processes) if line]


def launch(data_dir: Path, *arguments: str, port: int | None = None) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("ATTRACTOR_DATABASE")}
    env |= {"ATTRACTOR_ENV": "test", "ATTRACTOR_DATA_DIR": str(data_dir)}
    env |= {"ATTRACTOR__WEB__PORT": str(port or free_port())}
    command = [sys.executable, "-m", "config.launch", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=False)


def test_the_stack_is_healthy_and_its_demo_login_works(stack: RunningStack) -> None:
    status, body = get(f"{stack.url}health/ready")
    assert status == 200, body

    assert Person(stack).workspace()


def test_everything_runs_below_the_launcher(stack: RunningStack) -> None:
    lines = " ".join(map(command_line, descendants(stack.pid)))
    for program in ("postgres", "valkey-server", "celery", "sweep", "uvicorn"):
        assert program in lines


def test_a_caller_s_word_about_its_address_is_nothing_without_a_proxy(stack: RunningStack) -> None:
    """Also of a program on this machine, as a forwarder of ports, behind which everybody would choose the own."""
    person = Person(stack)
    said = {"X-Forwarded-For": "203.0.113.77", "X-Forwarded-Proto": "https", "X-Real-IP": "203.0.113.77"}
    for _ in range(2):  # the second shows what the first has left
        page = person._send(f"{stack.url}account/sessions/", None, said)
    assert "127.0.0.1" in page
    assert "203.0.113.77" not in page


def test_of_a_long_file_nothing_is_read_before_it_is_known_whose_it_is(stack: RunningStack) -> None:
    """The answer comes before a byte of the body has been sent, to whoever makes a session or a key up."""
    person = Person(stack)
    most = load({"ATTRACTOR_ENV": "test"}).configuration.limits
    (held,) = [cookie for cookie in person.cookies if cookie.name.startswith("sessionid")]

    def answer(size: int, body: bytes = b"", **headers: str) -> int:
        server = urllib.parse.urlsplit(stack.url)
        connection = http.client.HTTPConnection(str(server.hostname), server.port, timeout=60)
        try:
            connection.putrequest("POST", f"/api/v1/{person.workspace()}imports/?name=a.csv")
            for name, value in {"Content-Length": str(size), **headers}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            return connection.getresponse().status
        finally:
            connection.close()

    size = most.request_bytes + 1
    for made_up in ({"Cookie": f"{held.name}={'a' * 32}"}, {"Authorization": f"Bearer atk_{'a' * 43}"}, {}):
        assert answer(size, **made_up) == 413
    # Of somebody it is read, to be refused by what is looked at next: this request has no token against forgeries.
    assert answer(size, bytes(size), Cookie=f"{held.name}={held.value}") == 403
    assert answer(most.file_bytes + 1, Cookie=f"{held.name}={held.value}") == 413


def test_a_second_start_on_the_same_data_is_refused_with_the_address(stack: RunningStack) -> None:
    second = launch(stack.data_dir, "up")
    assert second.returncode == 1
    assert stack.url in second.stderr
    assert get(f"{stack.url}health/live")[0] == 200
    assert (stack.data_dir / RUNNING).exists()


def test_a_command_runs_beside_the_servers_of_the_running_stack(stack: RunningStack) -> None:
    answer = launch(stack.data_dir, "exec", "--", sys.executable, "manage.py", "migrate", "--check")
    assert answer.returncode == 0, answer.stderr
    assert "using them" in answer.stdout
    assert launch(stack.data_dir, "exec", "--", "sh", "-c", "exit 7").returncode == 7
    assert "was not found" in launch(stack.data_dir, "exec", "--", "no-such-program").stderr


@pytest.mark.parametrize("program", ["celery", "uvicorn", "valkey-server"])
def test_what_dies_is_started_again(stack: RunningStack, program: str, eventually: Callable[..., None]) -> None:
    def running() -> list[psutil.Process]:
        lines = {process: command_line(process) for process in descendants(stack.pid)}
        return [process for process, line in lines.items() if program in line and "keeper.py" not in line]

    def healthy() -> bool:
        try:
            return get(f"{stack.url}health/ready")[0] == 200
        except OSError:
            return False

    killed = running()
    assert killed
    killed[0].kill()
    eventually(lambda: not command_line(killed[0]), f"{program} to die")
    eventually(running, f"{program} to come back")
    eventually(healthy, "the stack to be healthy again", patience=60)


def test_of_several_server_processes_one_that_dies_is_replaced(seeded: Path, eventually: Callable[..., None]) -> None:
    with started_stack(seeded, ATTRACTOR__WEB__PROCESSES="2") as running:
        lines = {process: command_line(process) for process in descendants(running.pid)}
        (web,) = (one for one, line in lines.items() if " -m uvicorn " in line and "keeper.py" not in line)

        def serving() -> list[psutil.Process]:
            return [one for one in web.children() if "spawn_main" in command_line(one)]

        eventually(lambda: len(serving()) == 2, "two processes")
        killed = serving()[0]
        killed.kill()
        for _ in range(20):  # the other answers meanwhile; what was on its way to the killed one may be cut off
            try:
                assert get(f"{running.url}health/live")[0] == 200
            except OSError:
                continue
        eventually(lambda: len([one for one in serving() if one.pid != killed.pid]) == 2, "another in its place", 60)
        below = descendants(running.pid)
    assert alive(below) == []


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder on which the stack was started once and stopped by Ctrl-C, with nothing left behind."""
    data_dir = tmp_path_factory.mktemp("seeded")
    with started_stack(data_dir) as first:
        below = descendants(first.pid)
        login = f"demo login:  {first.email}  {first.password}"
    assert alive(below) == []
    said = (data_dir / "launch.log").read_text()
    assert "Migrating" in said
    assert login in said
    assert "Everything is stopped" in said
    assert not (data_dir / RUNNING).exists()
    return data_dir


def test_the_second_start_skips_what_is_up_to_date_and_keeps_the_login(seeded: Path) -> None:
    password = (seeded / "demo_password").read_text()
    with started_stack(seeded) as second:
        below = descendants(second.pid)
        assert second.password == password
    assert alive(below) == []
    said = (seeded / "launch.log").read_text()
    assert "Migrating" not in said
    assert "Building" not in said


def test_killing_the_launcher_leaves_no_process(seeded: Path, eventually: Callable[..., None]) -> None:
    with started_stack(seeded) as running:
        person = Person(running)
        run = person.start_run()
        eventually(lambda: person.api(run)["state"] == "running", "the run to begin", patience=60)
        below = descendants(running.pid)
        assert len(below) > 10  # keepers, their programs and what these have started, the run's process too
        os.kill(running.pid, signal.SIGKILL)
        eventually(lambda: not alive(below), "every process to end", patience=60)
    # Nothing holds the folder, and what was left behind does no harm.
    with started_stack(seeded) as again:
        person = Person(again)
        eventually(lambda: person.api(run)["state"] == "succeeded", "the run to go on to its end", patience=180)


def test_killing_make_leaves_no_process(seeded: Path, eventually: Callable[..., None]) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("ATTRACTOR_DATABASE")}
    env |= {"ATTRACTOR_ENV": "test", "ATTRACTOR_DATA_DIR": str(seeded), "ATTRACTOR__WEB__PORT": str(free_port())}
    (seeded / RUNNING).unlink(missing_ok=True)
    with (seeded / "launch.log").open("wb") as log:
        make = subprocess.Popen(["make", "run"], cwd=ROOT, env=env, stdout=log, stderr=log)
        try:
            eventually((seeded / RUNNING).exists, "the stack to be ready", patience=240)
            below = descendants(make.pid)
        finally:
            make.kill()
            make.wait()
    eventually(lambda: not alive(below), "every process to end", patience=60)


# --- single steps -----------------------------------------------------------------------------------------


def a_stack(monkeypatch: pytest.MonkeyPatch, **environ: str) -> Stack:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return Stack(load().configuration)


def test_a_taken_port_is_passed_by_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        with a_stack(monkeypatch, ATTRACTOR__WEB__PORT=str(taken))._listen() as listener:
            assert listener.getsockname()[1] > taken
    assert f"port {taken} is taken" in capsys.readouterr().out


def test_what_is_sent_in_two_pieces_does_not_wait_for_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nagle's algorithm would keep the body of an answer until its head is acknowledged, which clients put off."""
    with a_stack(monkeypatch)._listen() as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()[:2]), listener.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_that_is_not_ours_is_refused_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StepFailed, match=r"cannot listen on 192\.0\.2\.1") as refused:
        a_stack(monkeypatch, ATTRACTOR__WEB__HOST="192.0.2.1")._listen()
    assert "ATTRACTOR__WEB__HOST" in refused.value.mend


def test_external_servers_need_the_owners_url_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stack = a_stack(
        monkeypatch,
        ATTRACTOR_DATA_DIR=str(tmp_path),
        ATTRACTOR_DATABASE_URL="postgresql://app:x@127.0.0.1:9/x",
        ATTRACTOR_VALKEY_URL="redis://127.0.0.1:9",
    )
    with pytest.raises(StepFailed, match="role that owns the database"):
        stack.prepare()
    stack.stop()


def test_production_is_given_no_demo_account(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "n8Ynq3vKxA0rT5mZ1cW7uE4oH9pL2sD6fG8jB0yQkXhVtRwM3e"
    stack = a_stack(
        monkeypatch, ATTRACTOR_ENV="production", ATTRACTOR_DATA_DIR=str(tmp_path), ATTRACTOR_SECRET_KEY=secret,
        ATTRACTOR_DATABASE_URL="postgresql://app:x@127.0.0.1:9/x", ATTRACTOR_VALKEY_URL="redis://127.0.0.1:9",
        ATTRACTOR_DATABASE_OWNER_URL="postgresql://owner:x@127.0.0.1:9/x", ATTRACTOR__WEB__ALLOWED_HOSTS="a.example",
    )  # fmt: skip
    commands: list[str] = []
    monkeypatch.setattr(stack, "manage", lambda name, *_, **__: commands.append(name))
    monkeypatch.setattr(stack, "serve", lambda: "http://127.0.0.1:9/")
    monkeypatch.setattr(stack, "watch", lambda: None)
    monkeypatch.setattr(stack_module.front_end, "build", lambda: None)
    stack.up()
    running = json.loads((tmp_path / RUNNING).read_text())
    assert running.keys() == {"pid", "url"}
    assert str(stack.already_running()).endswith(f"http://127.0.0.1:9/ (process {os.getpid()})")
    stack.stop()
    assert commands == ["migrate", "seed_presets"]
    assert not (tmp_path / "demo_password").exists()
    assert "demo login" not in capsys.readouterr().out
    # A stamp would say that the embedded database, which there is not, is up to date.
    assert not (tmp_path / "stamps" / "database").exists()


def test_a_program_that_keeps_dying_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stack = a_stack(monkeypatch, ATTRACTOR_DATA_DIR=str(tmp_path))
    doomed = stack_module.Process("doomed", ["sh", "-c", "echo why; exit 4"], tmp_path)
    doomed.start()
    stack.programs.append(doomed)
    with pytest.raises(StepFailed, match="doomed ended 6 times") as given_up:
        stack.watch()
    assert "why" in given_up.value.report()


def test_configured_servers_are_used_instead_of_embedded_ones(stack: RunningStack, tmp_path: Path) -> None:
    theirs = json.loads((stack.data_dir / "services.json").read_text())
    server = f"127.0.0.1:{theirs['postgres_port']}/attractor"
    env = {
        **os.environ,
        "ATTRACTOR_ENV": "test",
        "ATTRACTOR_DATA_DIR": str(tmp_path),
        "ATTRACTOR_DATABASE_URL": f"postgresql://attractor_app:{theirs['app_password']}@{server}",
        "ATTRACTOR_DATABASE_OWNER_URL": f"postgresql://attractor_owner:{theirs['owner_password']}@{server}",
        "ATTRACTOR_VALKEY_URL": f"redis://:{theirs['valkey_password']}@127.0.0.1:{theirs['valkey_port']}/0",
    }
    command = [sys.executable, "-m", "config.launch", "exec", "--", sys.executable, "manage.py", "migrate", "--check"]
    answer = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert not (tmp_path / "postgres").exists()
    assert not (tmp_path / "valkey").exists()
