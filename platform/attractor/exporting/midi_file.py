"""MIDI (Standard MIDI File, format 1): every trigger port is a track of drum notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import mido

from attractor.recording.column import Column
from attractor.recording.recording import Recording

TICKS_PER_BEAT: Final = 480
TEMPO: Final = 500_000
"""Microseconds of a beat: 960 MIDI ticks a second."""
NOTE_SECONDS: Final = 0.05
DRUMS: Final = 9
"""Channel 10, as people count them."""
FIRST_NOTE: Final = 36


def takes(one: Column) -> bool:
    return one.kind == "trigger"


def write(recording: Recording, columns: Sequence[Column], into: Path, progress: Callable[[float], None]) -> None:
    """Write a track for each column, whose every firing is a note of 50 ms, shorter where the next one comes sooner.

    Port n has note 36 + n of the drum channel, round again after 46 ports.
    """
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT)
    head = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=TEMPO, time=0)])
    file.tracks.append(head)
    seconds = recording.facts["tick_seconds"]
    for n, one in enumerate(columns):
        ticks, fired = recording.series(one.name)
        moments = [round(mido.second2tick(tick * seconds, TICKS_PER_BEAT, TEMPO)) for tick in ticks[fired].tolist()]
        track = mido.MidiTrack(
            [mido.MetaMessage("track_name", name=one.name.encode("ascii", "replace").decode(), time=0)]
        )
        note, at = FIRST_NOTE + n % 46, 0
        length = round(mido.second2tick(NOTE_SECONDS, TICKS_PER_BEAT, TEMPO))
        for k, moment in enumerate(moments):
            end = min([moment + length, *moments[k + 1 : k + 2]])
            track.append(mido.Message("note_on", channel=DRUMS, note=note, velocity=100, time=moment - at))
            track.append(mido.Message("note_off", channel=DRUMS, note=note, velocity=0, time=end - moment))
            at = end
        file.tracks.append(track)
        progress((n + 1) / len(columns))
    file.save(into)
