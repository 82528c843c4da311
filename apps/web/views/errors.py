"""Answers to requests that no view answers: pages for people, problem+json for the API's programs."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from django.views import defaults

from apps.ops.problems import CONTENT_TYPE, problem_body

API = "/api/"
RETRY_AFTER_S = 5


def server_error(request: HttpRequest) -> HttpResponse:
    """500; or 503 with Retry-After when it is the database that cannot be reached."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        answer = _answer(request, 503, "unavailable", "The site cannot reach its database; try again soon")
        answer.headers["Retry-After"] = str(RETRY_AFTER_S)
        return answer
    return _answer(request, 500, "server_error", "Something broke on our side")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, for an address too that there is not at all."""
    if request.path.startswith(API):
        return _problem(404, "not_found", "There is no such thing here")
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 for what is no request, such as one for another host."""
    if request.path.startswith(API):
        return _problem(400, "invalid_request", "The request is not well-formed")
    return defaults.bad_request(request, exception)


def _answer(request: HttpRequest, status: int, code: str, title: str) -> HttpResponse:
    if request.path.startswith(API):
        return _problem(status, code, title)
    # Without the context processors, which may ask for what has just failed; the page needs its nonce only.
    return HttpResponse(loader.render_to_string(f"{status}.html", {"request": request}), status=status)


def _problem(status: int, code: str, title: str) -> HttpResponse:
    return JsonResponse(problem_body(status, code, title), status=status, content_type=CONTENT_TYPE)
