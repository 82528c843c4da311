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

from attractor.importing.report import MOST, UNPACKED, Report

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


def ends_as_archive(path: Path) -> bool:
    """Whether a program for archives would find one in a file, whatever stands before it."""
    size = path.stat().st_size
    length = min(size, _END.size + 65535)
    with path.open("rb") as file:
        file.seek(size - length)
        tail = file.read(length)
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        # The mark alone may be chance; an end whose comment ends with the file is none.
        if len(tail) - at >= _END.size and at + _END.size + _END.unpack_from(tail, at)[-1] == len(tail):
            return True
        at = tail.rfind(b"PK\x05\x06", 0, at)
    return False


def judge(path: Path, report: Report) -> bool:
    """Whether an archive may be opened; says everything that is wrong with it.

    Reads its end and its directory, at most half a megabyte.
    """
    before = report.total
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            found = _end(file, size)
        except zipfile.BadZipFile as error:
            report.say("file", f"is a damaged ZIP archive ({error}).", "Write it anew.")
            return False
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
    """Number of entries, bytes and place of the directory, as the archive's end says.

    Raises:
        BadZipFile: its two ends contradict each other. Which of them counts is for the reader to choose.
    """
    length = min(size, _END.size + 65535)
    file.seek(size - length)
    tail = file.read(length)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        return None
    _, disk, first_disk, here, entries, directory, place, _ = _END.unpack_from(tail, at)
    end64 = _end64(file, size - length + at)
    if end64 is None:
        return entries, directory, place
    # A field of the older end says the same, or that it has no room for it.
    said = (disk, first_disk, here, entries, directory, place)
    most = (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    if any(one not in (full, other) for one, full, other in zip(said, most, end64, strict=True)):
        raise zipfile.BadZipFile("its two ends contradict each other")
    return end64[3], end64[4], end64[5]


def _end64(file: IO[bytes], end: int) -> tuple[int, ...] | None:
    """Disks, numbers of entries, bytes and place of the directory, as a ZIP64 end before the end at a place says.

    It stands right before its locator: that is where `zipfile` looks, whatever the locator says.
    """
    file.seek(max(0, end - _LOCATOR.size))
    locator = file.read(min(end, _LOCATOR.size))
    if not locator.startswith(b"PK\x06\x07") or len(locator) < _LOCATOR.size:
        return None
    at = end - _LOCATOR.size - _END64.size
    if at < 0 or _LOCATOR.unpack(locator)[2] != at:
        raise zipfile.BadZipFile("its ZIP64 end is not where it is said to be")
    file.seek(at)
    found = _END64.unpack(file.read(_END64.size))
    if found[0] != b"PK\x06\x06":
        raise zipfile.BadZipFile("its ZIP64 end is missing")
    return found[4:]


def _entries(entries: list[zipfile.ZipInfo], size: int, report: Report) -> None:
    if len(entries) > MOST_ENTRIES:
        # The end told of fewer.
        report.say("file", f"has {len(entries):,} entries; {MOST_ENTRIES:,} are allowed.", "Split it.")
        return
    names: set[str] = set()
    ends = 0
    for one in sorted(entries, key=lambda entry: entry.header_offset):
        if report.total >= MOST:
            return
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
