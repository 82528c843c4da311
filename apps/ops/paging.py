"""Pages of lists."""

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Pages by a cursor: new rows do not shift what was not read yet, and late pages cost as little as the first."""

    ordering = ("-created_at", "-id")
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
