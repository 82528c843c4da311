"""What comes of a run that reproduces another: equal, or where it first differs. Part of writing its end."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from apps.runs.models import Reproduction, Run, RunPoint, RunTrail

logger = logging.getLogger(__name__)

CIRCUMSTANCES = ("tier", "device", "versions", "kinds", "weights")
"""What two runs must share besides graph, seed and control log for equal results to be promised."""


@dataclass(frozen=True, slots=True)
class KeptTrail:
    """A trail as it is kept: what it describes itself by, and its packed digests."""

    description: Mapping[str, Any]
    digests: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was; `what` is ``tier``, ``device``, ``versions.torch``, ``weights.detector``, …"""

    what: str
    then: Any
    now: Any


def changes(then: Mapping[str, Any], now: Mapping[str, Any], names: Sequence[str] = CIRCUMSTANCES) -> list[Change]:
    """What of the circumstances in two manifests differs. What one of them does not say is not compared."""
    found = []
    for name in names:
        if name not in then or name not in now:
            continue
        old, new = then[name], now[name]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            parts = sorted(old.keys() | new.keys())
            found += [
                Change(f"{name}.{part}", old.get(part), new.get(part))
                for part in parts
                if old.get(part) != new.get(part)
            ]
        elif old != new:
            found.append(Change(name, old, new))
    return found


def conclude(run: Run, trail: KeptTrail | None) -> dict[str, Any] | None:
    """Compare a locked run that succeeds with the one that it reproduces; the payload of the event that says so.

    Equal is what has the same result hash and, where both have trails with rows of the same ticks, said the same in
    every row of them. None for a run that reproduces none.

    Args:
        trail: of the run that succeeds, whether it is kept or not.
    """
    held = Reproduction.objects.select_for_update().filter(run=run).first()
    if held is None:
        return None
    origin = None
    if run.kind == Run.Kind.SINGLE and run.origin_id is not None:
        origin = RunTrail.objects.filter(run_id=run.origin_id).first()
    held.gone = RunTrail.Gone.NO if origin is None else origin.gone
    held.first, held.compared = _first_difference(run, held.expected, origin, trail)
    alike = run.result_hash == held.expected and held.first is None
    held.verdict = Reproduction.Verdict.EQUAL if alike else Reproduction.Verdict.DIFFERENT
    held.changed = [asdict(one) for one in changes(held.manifest, run.manifest)]
    held.save(update_fields=["verdict", "first", "compared", "changed", "gone"])
    message = sentence(held)
    return {"level": "info" if alike else "warning", "node": node_of(held.first), "message": message, "data": {}}


def _first_difference(
    run: Run, expected: str, origin: RunTrail | None, trail: KeptTrail | None
) -> tuple[dict[str, Any] | None, str]:
    """Where it first differs, as far as is known, and what was compared besides the hash."""
    compared = Reproduction.Compared
    if run.origin_id is None:  # deleted since
        return None, compared.HASH
    if run.kind != Run.Kind.SINGLE:
        return _first_point(run.origin_id, run.pk), compared.POINTS
    if origin is None or origin.gone or trail is None:
        return None, compared.HASH
    from attractor.trail import Trail  # brings torch

    try:
        old, new = (Trail.unpacked(one.description, bytes(one.digests)) for one in (origin, trail))
        parting = old.parting(new)
    except ValueError as error:
        # Another version of a kind may have other ports or shapes, and then the trails have no rows in common.
        logger.warning("the trails of a reproduction are not compared: %s", error, extra={"run_id": str(run.pk)})
        return None, compared.HASH
    rows = compared.TICKS if old.stride == 1 else compared.ROWS
    if parting is not None:
        return {**asdict(parting), "places": list(parting.places)}, rows
    if run.result_hash == expected:
        return None, rows
    return {"tick": run.ticks - 1, "since": -1, "places": [], "hidden": True}, rows


def _first_point(one: UUID, other: UUID) -> dict[str, Any] | None:
    """The first point of two sweeps or fits of one design that came out differently, as their hashes see it."""
    from apps.runs.points import identity  # its module needs the one that needs this

    rows = RunPoint.objects.filter(run_id__in=(one, other)).order_by("index")
    seen: dict[int, Any] = {}
    for index, params, result_hash, error in rows.values_list("index", "params", "result_hash", "error").iterator():
        said = identity(index, result_hash, error)
        if index not in seen:
            seen[index] = (params, said)
        elif seen.pop(index)[1] != said:
            return {"point": index, "params": params}
    if seen:
        index = min(seen)
        return {"point": index, "params": seen[index][0]}
    return None


def node_of(first: Mapping[str, Any] | None) -> str | None:
    """The node at which a difference began; None when none is known."""
    return first["places"][0].partition(".")[0] if first and first.get("places") else None


_EQUAL = {
    Reproduction.Compared.HASH: "Equal: the same result hash. What was said on the way was not compared, because there "
    "are no two trails with rows of the same ticks.",
    Reproduction.Compared.ROWS: "Equal: the same result hash, and the same values in every tick of which the trails "
    "keep a digest.",
    Reproduction.Compared.TICKS: "Equal: the same result hash, and the same values on the way.",
    Reproduction.Compared.POINTS: "Equal: the same result hash, and the same at every point.",
}


_GONE = {
    RunTrail.Gone.EXPIRED: "the trail of the run that it reproduces was deleted when its time was over",
    RunTrail.Gone.NO_ROOM: "the trail of the run that it reproduces was not kept: the storage was used up",
}


def prospect_of_trail(run: Run) -> str:
    """What a reproduction of a run cannot be compared by, for people; nothing when its trail is there. Call it inside
    the workspace's scope."""
    if run.kind != Run.Kind.SINGLE:
        return ""
    gone = RunTrail.objects.filter(run_id=run.pk).values_list("gone", flat=True).first()
    if gone == RunTrail.Gone.NO:
        return ""
    why = "It has no trail"
    if gone == RunTrail.Gone.EXPIRED:
        why = "Its trail was deleted when its time was over"
    elif gone == RunTrail.Gone.NO_ROOM:
        why = "Its trail was not kept, because the storage was used up"
    return f"{why}: a reproduction is compared by the result hash alone, and cannot say where it first differs."


def sentence(held: Reproduction) -> str:
    """What came of a reproduction, for people: nothing is said of what was not compared."""
    first, changed = held.first, held.changed
    if held.verdict == Reproduction.Verdict.WAITING:
        return "Not compared yet: that is done when the run is over."
    if held.verdict == Reproduction.Verdict.EQUAL:
        if held.compared == Reproduction.Compared.HASH and held.gone:
            why = _GONE[RunTrail.Gone(held.gone)]
            return f"Equal: the same result hash. What was said on the way was not compared, because {why}."
        return _EQUAL[Reproduction.Compared(held.compared)]
    said = "Different from the run that it reproduces"
    if first is None and held.gone:
        said += f"; where it began is not known, because {_GONE[RunTrail.Gone(held.gone)]}."
    elif first is None:
        said += "; where it began is not known, because the other has no trail (any more) to compare with."
    elif "point" in first:
        said += f" from point {first['point']} on."
    elif not first["places"]:
        said += ", in ticks or states of which its trail keeps no digest."
    elif first["hidden"]:
        said += f": every port said the same, and the state of {first['places'][0]} at the end is another."
    else:
        after = first["tick"] == first["since"] + 1
        when = f"in tick {first['tick']}" if after else f"after tick {first['since']}, by tick {first['tick']}"
        said += f": {first['places'][0]} said something else {when}."
    if not changed:
        return f"{said} Nothing that was recorded explains it: tier, device, versions and weights are the same."
    names = ", ".join(one["what"] for one in changed)
    return f"{said} This is no fault by itself: equal results are promised only where {names} stay as they were."
