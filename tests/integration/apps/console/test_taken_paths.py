"""The console cannot be put where the site has pages."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from config.schema import TAKEN


def test_the_taken_paths_are_the_first_parts_of_all_addresses() -> None:
    first = {str(entry.pattern).partition("/")[0] for entry in everything(get_resolver())}
    assert first - {settings.ATTRACTOR.console.path, ""} | {"static"} == set(TAKEN)


def everything(resolver: URLResolver) -> Iterator[URLPattern | URLResolver]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver) and not str(entry.pattern):
            yield from everything(entry)
        else:
            yield entry
