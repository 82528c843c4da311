"""Numba, set up once for every CPU kernel of the engine.

Importing this module imports Numba, which takes half a second. A module whose functions are compiled is therefore
imported only inside the function that runs it, as ``attractor.kernels.cpu`` is.

Compiled code is kept in `attractor.cache_folder`, in a folder named by a digest of all sources of this package: Numba
looks only at the file in which a function stands, and would go on using a compiled caller of a function that has
changed in another file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, overload

import numba

from attractor.cache_folder import cache_folder

F = TypeVar("F", bound=Callable[..., Any])

UNUSED_DAYS: Final = 30
"""Compiled code of other versions of the sources is removed when nobody has used it for so long."""


@overload
def jit(function: F, /) -> F: ...
@overload
def jit(
    *, signature: Any = ..., fastmath: bool | set[str] = ..., inline: Literal["never", "always"] = ...,
    forceinline: bool = ...,
) -> Callable[[F], F]: ...  # fmt: skip
def jit(
    function: F | None = None, /, *, signature: Any = None, fastmath: bool | set[str] = False,
    inline: Literal["never", "always"] = "never", forceinline: bool = False,
) -> F | Callable[[F], F]:  # fmt: skip
    """Compile a function at its first call, without the interpreter lock, and keep the code on disk.

    Division by zero gives inf or NaN, as in torch, and raises nothing. Arithmetic is IEEE 754 to the letter unless
    `fastmath` says otherwise: no sum is reordered and no product is fused, so results depend neither on the vector
    width nor on where an element lies. Where a fused product is wanted, call `attractor.kernels.fma.fma`.

    Args:
        signature: what the function is compiled for, at once. Without one it is compiled again for every mixture of
            contiguous and other arrays that it meets.
        fastmath: liberties for LLVM, as Numba takes them. With any, results may depend on the length of a loop.
        inline: "always" inlines in Numba, before types are known; LLVM inlines small functions anyway.
        forceinline: LLVM inlines the function wherever it is called, so that a constant argument prunes its branches.
    """

    def compiled(function: F) -> F:
        folder = _folder()
        config: Any = numba.config
        before = config.CACHE_DIR
        # Read when a function is decorated; whoever else uses Numba in this process keeps a place of its own.
        config.CACHE_DIR = "" if folder is None else str(folder)
        try:
            dispatcher: Any = numba.njit(
                signature, nogil=True, error_model="numpy", cache=folder is not None, fastmath=fastmath, inline=inline,
                forceinline=forceinline,
            )(function)  # fmt: skip
        finally:
            config.CACHE_DIR = before
        kept: F = dispatcher
        return kept

    return compiled if function is None else compiled(function)


def warm_up() -> None:
    """Set Numba up as the first call of a kernel would, about half a second, for a process that waits for work."""
    jit(_nothing)()


def _nothing() -> None:
    return None


@cache
def _folder() -> Path | None:
    """The folder of the code compiled from the sources as they are now."""
    base = cache_folder("kernels")
    if base is None:
        return None
    folder = base / _digest()
    folder.mkdir(exist_ok=True)
    os.utime(folder)
    _remove_unused(base, time.time() - UNUSED_DAYS * 86_400)
    return folder


def _digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    here = Path(__file__).parent
    for source in sorted(here.rglob("*.py")):
        digest.update(str(source.relative_to(here)).encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _remove_unused(base: Path, before: float) -> None:
    for folder in base.iterdir():
        if folder.is_dir() and folder.stat().st_mtime < before:
            # Another process may be at the same work, or be compiling into it: then it stays for another day.
            shutil.rmtree(folder, ignore_errors=True)
