"""The end of acting in somebody's name."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from apps.console import impersonation


@require_POST
def end_impersonation(request: HttpRequest) -> HttpResponse:
    """Goes on as oneself. There is nothing to end for who acts as nobody else."""
    if impersonation.leave(request):
        messages.success(request, "You are yourself again.")
    return redirect("web:landing")
