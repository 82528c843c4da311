"""Says in one sentence what the client needs and what of it is not installed, before any of it is imported."""

from importlib.util import find_spec

NEEDED = ("httpx", "msgpack", "platformdirs", "rich", "websockets")

if _missing := [name for name in NEEDED if find_spec(name) is None]:
    raise ModuleNotFoundError(
        f"The client needs {', '.join(_missing)} beside the engine: pip install 'attractor[client]'", name=_missing[0]
    )
