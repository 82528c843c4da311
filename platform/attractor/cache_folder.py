"""Where the engine keeps what it can make again: compiled kernels and programs."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Final

VARIABLE: Final = "ATTRACTOR_CACHE_DIR"


def cache_folder(name: str) -> Path | None:
    """The writable folder `name` of the engine's cache, made if it is not there.

    It lies under ``$ATTRACTOR_CACHE_DIR``, else under ``$XDG_CACHE_HOME/attractor``, else under ``~/.cache/attractor``.
    Whatever is in it may be deleted at any time.

    Returns:
        the folder; None, with a warning that says the mend, when none can be written.
    """
    try:
        folder = _base() / name
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
        reason = f"{folder} cannot be written"
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder.
        writable, reason = False, str(error)
    if writable:
        return folder
    warnings.warn(
        f"compiled code is not kept ({reason}), so every process compiles anew: "
        f"set {VARIABLE} to a folder that can be written.",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


def _base() -> Path:
    if own := os.environ.get(VARIABLE):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "attractor"
    return Path.home() / ".cache" / "attractor"
