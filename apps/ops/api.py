"""Probes for whoever watches over the processes."""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.ops import health


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """The process answers. It asks nobody else, so a service that is away restarts no web server."""
    return JsonResponse({"status": "live"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """What can be served, in one word: `ready`; `degraded` (200) without Valkey, which nothing is lost with, or with
    secrets that could not be read anew; `unavailable` (503) without PostgreSQL. Anybody may ask: what is wrong, and the
    mend, is in the log and said by `manage.py check_services`."""
    status = health.WATCH.found().status
    return JsonResponse({"status": status}, status=503 if status == "unavailable" else 200)
