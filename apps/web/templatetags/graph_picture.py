"""Tags that draw a graph as SVG."""

from collections.abc import Mapping
from typing import Any

from django import template

from apps.web.graph_picture import draw

register = template.Library()


@register.inclusion_tag("web/graph_picture.svg", name="graph_picture")
def picture(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The graph with titles and kinds."""
    return {"picture": draw(spec), "small": False}


@register.inclusion_tag("web/graph_picture.svg", name="graph_thumbnail")
def thumbnail(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The graph's shape only, for a card; the card says the rest."""
    return {"picture": draw(spec), "small": True}
