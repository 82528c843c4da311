"""Error pages that need more than a template."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template import loader

RETRY_AFTER_S = 5


def server_error(request: HttpRequest) -> HttpResponse:
    """500; or 503 with Retry-After when it is the database that cannot be reached."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        body = loader.render_to_string("503.html")
        return HttpResponse(body, status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
    return HttpResponse(loader.render_to_string("500.html"), status=500)
