"""Rows as JSON, by serializers that are made once.

To make one of DRF's serializers takes longer than to let it write a row: it copies every field that its class declares,
and makes every other anew from the model's. One that only writes, and asks for no `context`, can be kept.
"""

from collections.abc import Iterable
from typing import Any

from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

Writer = type[BaseSerializer[Any]]
"""A class of serializers without `context`."""


_kept: dict[Writer, BaseSerializer[Any]] = {}


def represented(writer: Writer, row: Any) -> dict[str, Any]:
    """What `writer(row).data` is."""
    if writer not in _kept:
        _kept[writer] = writer()
    return dict(_kept[writer].to_representation(row))


def all_represented(writer: Writer, rows: Iterable[Any]) -> list[dict[str, Any]]:
    """What `writer(rows, many=True).data` is."""
    return [represented(writer, row) for row in rows]


class RowList(ListAPIView[Any]):
    """A paged list whose serializer asks for no `context`."""

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        if page is None:
            raise TypeError(f"{type(self).__name__} names no pagination_class.")
        return self.get_paginated_response(all_represented(self.get_serializer_class(), page))
