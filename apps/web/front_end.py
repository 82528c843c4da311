"""What Vite built: which files an entry of the front end needs."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings


class FrontEndNotBuilt(RuntimeError):
    """The built front end, or one entry of it, is missing; the text says how to build it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Files of one entry, relative to static/dist: its script, the chunks it imports at once, its styles."""

    script: str
    imports: tuple[str, ...]
    styles: tuple[str, ...]


def manifest_path() -> Path:
    """Where `vite build` writes its manifest."""
    return Path(settings.BASE_DIR) / "static" / "dist" / ".vite" / "manifest.json"


def entry(name: str) -> Entry:
    """The files of the entry `name`, a source path below static/src.

    Raises:
        FrontEndNotBuilt: there is no manifest, or it does not know the entry.
    """
    path = manifest_path()
    try:
        stamp = path.stat().st_mtime_ns
    except FileNotFoundError:
        raise FrontEndNotBuilt(f"{path} is missing: the front end is not built. Run `make front`.") from None
    return _entry(path, stamp, name)


@lru_cache(maxsize=64)
def _entry(path: Path, stamp: int, name: str) -> Entry:
    manifest: dict[str, Any] = json.loads(path.read_text())
    if name not in manifest or not manifest[name].get("isEntry"):
        known = ", ".join(sorted(key for key, chunk in manifest.items() if chunk.get("isEntry")))
        raise FrontEndNotBuilt(f"{path} has no entry {name!r} (it has: {known}). Run `make front`.")
    chunks = _with_imports(manifest, name)
    styles = dict.fromkeys(style for chunk in chunks for style in manifest[chunk].get("css", ()))
    scripts = tuple(manifest[chunk]["file"] for chunk in chunks)
    return Entry(script=scripts[-1], imports=scripts[:-1], styles=tuple(styles))


def _with_imports(manifest: dict[str, Any], name: str) -> list[str]:
    """The chunk and all that it imports statically, imported ones first, each once."""
    order: dict[str, None] = {}

    def visit(chunk: str) -> None:
        if chunk in order:
            return
        for imported in manifest[chunk].get("imports", ()):
            visit(imported)
        order[chunk] = None

    visit(name)
    return list(order)
