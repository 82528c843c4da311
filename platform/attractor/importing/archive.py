"""The directory of a ZIP archive, judged before anything of it is unpacked or even listed.

An archive may be a bomb (a little that unpacks to a lot, or entries that share their bytes), may name places outside
the folder that it is unpacked into, may hold symbolic links, or a directory of millions. Its end says how large the
directory is; one that is too large is not read.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from pathlib import Path
from typing import IO, Final

from attractor.importing.report import UNPACKED, Report

MOST_ENTRIES: Final = 1000
DIRECTORY_BYTES: Final = 2**19
RATIO: Final = 1000
"""Times that an entry may be larger than it is packed; deflate cannot do more than 1032."""
SMALL: Final = 2**20
"""Entries below this are not judged by their ratio: a megabyte of zeros is no bomb."""
_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_NAME: Final = re.compile(r"[^/\\\x00-\x1f]{1,200}")


def judge(path: Path, report: Report) -> bool:
    """Whether an archive may be opened; says everything that is wrong with it.

    Reads its end and its directory, at most half a megabyte.
    """
    before = report.total
    size = path.stat().st_size
    with path.open("rb") as file:
        found = _end(file, size)
    if found is None:
        report.say("file", "is no ZIP archive: it has no end of a directory.", "Write it anew.")
        return False
    entries, directory, at = found
    if entries > MOST_ENTRIES:
        report.say("file", f"has {entries:,} entries; {MOST_ENTRIES:,} are allowed.", "Split it.")
    if directory > DIRECTORY_BYTES:
        report.say("file", f"has a directory of {directory:,} bytes; {DIRECTORY_BYTES:,} are allowed.", "Split it.")
    if at + directory > size:
        report.say("file", "has a directory that lies outside it.", "Write it anew.")
    if report.total == before:
        try:
            with zipfile.ZipFile(path) as archive:
                _entries(archive.infolist(), size, report)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, UnicodeDecodeError) as error:
            report.say("file", f"is a damaged ZIP archive ({error}).", "Write it anew.")
    return report.total == before


def _end(file: IO[bytes], size: int) -> tuple[int, int, int] | None:
    """Number of entries, bytes and place of the directory, as the archive's end says."""
    length = min(size, _END.size + 65535)
    file.seek(size - length)
    tail = file.read(length)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        return None
    _, _, _, _, entries, directory, place, _ = _END.unpack_from(tail, at)
    if at >= _LOCATOR.size and (entries == 0xFFFF or 0xFFFFFFFF in (directory, place)):
        mark, _, where, _ = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
        if mark == b"PK\x06\x07" and where + _END64.size <= size:
            file.seek(where)
            end = _END64.unpack(file.read(_END64.size))
            if end[0] == b"PK\x06\x06":
                return end[7], end[8], end[9]
    return entries, directory, place


def _entries(entries: list[zipfile.ZipInfo], size: int, report: Report) -> None:
    names: set[str] = set()
    ends = 0
    for one in sorted(entries, key=lambda entry: entry.header_offset):
        place = f"entry {one.filename[:80]!r}"
        if not _NAME.fullmatch(one.orig_filename) or one.filename in (".", "..") or one.filename != one.orig_filename:
            report.say(place, "names a place outside the archive, or a folder.", "Give entries plain names.")
        if stat.S_ISLNK(one.external_attr >> 16):
            report.say(place, "is a symbolic link.", "Store the file itself.")
        if one.filename in names:
            report.say(place, "is there twice.", "Store it once.")
        names.add(one.filename)
        if one.flag_bits & 0x1:
            report.say(place, "is encrypted.", "Store it as it is.")
        if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            report.say(place, f"is compressed by method {one.compress_type}.", "Store it plainly, or by deflate.")
        if one.file_size > SMALL and one.file_size > RATIO * max(1, one.compress_size):
            report.say(place, f"unpacks {one.compress_size:,} bytes to {one.file_size:,}: a bomb.", "Store it plainly.")
        if one.header_offset < ends or one.header_offset + 30 + one.compress_size > size:
            report.say(place, "shares its bytes with another entry, or lies outside the file.", "Write it anew.")
        ends = one.header_offset + 30 + one.compress_size
    total = sum(one.file_size for one in entries)
    if total > UNPACKED:
        report.say("file", f"unpacks to {total:,} bytes; {UNPACKED:,} are allowed.", "Split it.")
