"""A graph as a still picture: boxes and curves for an SVG, drawn without JavaScript."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from apps.web.graph_layout import Place, Positions, positions

WIDTH, HEIGHT, MARGIN = 216.0, 74.0, 10.0
# How far a curve that runs against the direction of reading swings out, sideways and below.
SWING, DIP = 40.0, 34.0
CATEGORY_CLASSES = 5

Style = Literal["", "delayed", "route"]


@dataclass(frozen=True, slots=True)
class Box:
    """One node: corner in pixels, texts, and the number of its category's colour."""

    x: float
    y: float
    title: str
    kind: str
    colour: int


@dataclass(frozen=True, slots=True)
class Curve:
    """One edge or route: an SVG path and what it is."""

    path: str
    style: Style
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The whole drawing and its view box."""

    boxes: tuple[Box, ...]
    curves: tuple[Curve, ...]
    view_box: str
    description: str
    width: float = WIDTH
    height: float = HEIGHT


def draw(spec: Mapping[str, Any]) -> Picture:
    """The picture of a graph's JSON."""
    places = positions(spec)
    families = {name: number for number, name in enumerate(dict.fromkeys(_family(n["kind"]) for n in spec["nodes"]))}
    boxes = tuple(
        Box(*places[n["id"]], n.get("title") or n["id"], n["kind"], families[_family(n["kind"])] % CATEGORY_CLASSES)
        for n in spec["nodes"]
    )
    edges: list[tuple[Mapping[str, Any], Style]] = [
        (edge, "delayed" if edge.get("delay") else "") for edge in spec.get("edges", ())
    ]
    routes: list[tuple[Mapping[str, Any], Style]] = [(route, "route") for route in spec.get("routes", ())]
    curves = tuple(Curve(_curve(*_ends(link, places)), style, _label(link, style)) for link, style in [*edges, *routes])
    xs = [x for x, _ in places.values()] or [0.0]
    ys = [y for _, y in places.values()] or [0.0]
    links = [link for link, _ in edges + routes]
    swing = SWING if any(_runs_back(*_ends(link, places)) for link in links) else 0.0
    dip = DIP if swing else 0.0
    box = (
        min(xs) - MARGIN - swing,
        min(ys) - MARGIN,
        max(xs) - min(xs) + WIDTH + 2 * (MARGIN + swing),
        max(ys) - min(ys) + HEIGHT + dip + 2 * MARGIN,
    )
    return Picture(
        boxes,
        curves,
        " ".join(f"{value:g}" for value in box),
        f"Graph of {len(boxes)} nodes: {', '.join(one.title for one in boxes)}. "
        f"{len(edges)} edges, {len(routes)} modulation routes.",
    )


def _family(kind: str) -> str:
    return kind.replace(":", ".").split(".")[0]


def _label(link: Mapping[str, Any], style: str) -> str:
    suffix = {"delayed": ", delayed by one tick", "route": ", modulation"}.get(style, "")
    return f"{link['src']} to {link['dst']}{suffix}"


def _ends(link: Mapping[str, Any], places: Positions) -> tuple[Place, Place]:
    return places[link["src"].split(".")[0]], places[link["dst"].split(".")[0]]


def _runs_back(source: Place, target: Place) -> bool:
    return target[0] <= source[0] + WIDTH


def _curve(source: Place, target: Place) -> str:
    """A cubic from the right side of one box to the left side of another; a way back dips below both."""
    x0, y0 = source[0] + WIDTH, source[1] + HEIGHT / 2
    x1, y1 = target[0], target[1] + HEIGHT / 2
    if not _runs_back(source, target):
        bend = max(28.0, (x1 - x0) / 2)
        return f"M{x0:g} {y0:g}C{x0 + bend:g} {y0:g} {x1 - bend:g} {y1:g} {x1:g} {y1:g}"
    low = max(source[1], target[1]) + HEIGHT + DIP
    # The tip of a cubic reaches three quarters of the way to its control points.
    out = SWING / 0.75
    return (
        f"M{x0:g} {y0:g}C{x0 + out:g} {y0:g} {x0 + out:g} {low:g} {x0 - 20:g} {low:g}"
        f"L{x1 + 20:g} {low:g}C{x1 - out:g} {low:g} {x1 - out:g} {y1:g} {x1:g} {y1:g}"
    )
