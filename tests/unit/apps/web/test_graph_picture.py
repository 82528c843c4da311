"""The still picture of a graph."""

import json
import re

import numpy as np
import pytest
from scipy.interpolate import BPoly

from apps.web.graph_picture import HEIGHT, WIDTH, draw
from config.layers import ROOT

SPEC = json.loads((ROOT / "presets" / "emergent_logic.json").read_text(encoding="utf-8"))["graph"]
NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"


def points(path: str) -> np.ndarray:
    """Points along an SVG path of M, L and C, the cubics evaluated in Bernstein form by scipy."""
    found: list[np.ndarray] = []
    for letter, numbers in re.findall(r"([MLC])([^MLC]*)", path):
        pairs = np.array([float(one) for one in re.findall(NUMBER, numbers)]).reshape(-1, 2)
        if letter == "C":
            control = np.vstack([found[-1][-1:], pairs])
            found.append(BPoly(control[:, None, :], [0, 1])(np.linspace(0, 1, 60)))
        else:
            found.append(pairs)
    return np.vstack(found)


def view_box(picture) -> tuple[float, float, float, float]:
    x, y, width, height = map(float, picture.view_box.split())
    return x, y, x + width, y + height


def test_every_box_and_every_curve_of_the_preset_lies_in_the_view():
    picture = draw(SPEC)
    left, top, right, bottom = view_box(picture)
    for box in picture.boxes:
        assert left < box.x
        assert box.x + WIDTH < right
        assert top < box.y
        assert box.y + HEIGHT < bottom
    for curve in picture.curves:
        along = points(curve.path)
        assert left <= along[:, 0].min(), curve.label
        assert along[:, 0].max() <= right, curve.label
        assert along[:, 1].max() <= bottom, curve.label


def test_boxes_of_the_preset_do_not_overlap():
    boxes = draw(SPEC).boxes
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            apart = abs(one.x - other.x) >= WIDTH or abs(one.y - other.y) >= HEIGHT
            assert apart, f"{one.title} and {other.title}"


def test_each_edge_and_route_is_drawn_once_from_its_source_to_its_target_in_its_own_style():
    picture = draw(SPEC)
    delayed = sum(1 for edge in SPEC["edges"] if edge.get("delay"))
    assert len(picture.curves) == len(SPEC["edges"]) + len(SPEC["routes"])
    assert [curve.style for curve in picture.curves].count("delayed") == delayed > 0
    assert [curve.style for curve in picture.curves].count("route") == len(SPEC["routes"]) > 0
    boxes = dict(zip((node["id"] for node in SPEC["nodes"]), picture.boxes, strict=True))
    for link, curve in zip([*SPEC["edges"], *SPEC["routes"]], picture.curves, strict=True):
        along = points(curve.path)
        source, target = (boxes[link[end].split(".")[0]] for end in ("src", "dst"))
        assert along[0] == pytest.approx((source.x + WIDTH, source.y + HEIGHT / 2))
        assert along[-1] == pytest.approx((target.x, target.y + HEIGHT / 2))


def test_a_node_that_feeds_itself_is_drawn_as_a_loop_inside_the_view():
    spec = {"nodes": [{"id": "a", "kind": "k"}], "edges": [{"src": "a.o", "dst": "a.i", "delay": 1}]}
    picture = draw(spec)
    left, _, right, bottom = view_box(picture)
    along = points(picture.curves[0].path)
    assert left <= along[:, 0].min() < along[:, 0].max() <= right
    assert HEIGHT < along[:, 1].max() <= bottom
