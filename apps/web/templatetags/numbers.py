"""The tag that shows every number of a verdict."""

from typing import Any

from django import template

from apps.web.numbers import Group, arrange

register = template.Library()


@register.inclusion_tag("web/numbers.html", name="numbers")
def show_numbers(numbers: Any) -> dict[str, tuple[Group, ...]]:
    """A JSON value as definition lists and tables."""
    return {"entries": arrange(numbers)}
