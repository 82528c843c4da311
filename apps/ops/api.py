"""Probes for whoever watches over the processes."""

from dataclasses import asdict

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
    """What can be served: `ready`; `degraded` (200) without Valkey, which nothing is lost with, or with secrets that
    could not be read anew; `unavailable` (503) without PostgreSQL."""
    database = health.database()
    checks = [database, *filter(None, (health.valkey(), health.secrets()))]
    status = "unavailable" if not database.ok else "ready" if all(one.ok for one in checks) else "degraded"
    body = {"status": status, "checks": [asdict(one) for one in checks]}
    return JsonResponse(body, status=200 if database.ok else 503)
