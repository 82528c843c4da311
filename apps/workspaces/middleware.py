"""Requests under a workspace's address work in its scope."""

from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from asgiref.sync import iscoroutinefunction
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

from apps.workspaces.entry import MfaRequired
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Membership
from apps.workspaces.scope import enter, user_scope
from apps.workspaces.selectors import membership

PAGES = "/w/"
API = "/api/v1/workspaces/"


class WorkspaceMiddleware(MiddlewareMixin):
    """Runs each view under `/w/<slug>/` and `/api/v1/workspaces/<slug>/` inside the scope of that workspace.

    Must be the last middleware. The look whether the asker belongs there and the view's whole answer, a template's
    rendering too, are one transaction, which is rolled back when the answer is an error. For the methods that a view
    names in its attribute `own_scope` it opens its scopes itself, because it has something to do between two
    transactions. `request.membership` is the asker's membership and `request.workspace` its workspace. For a workspace
    that does not exist or that the asker does not belong to, a page is 404 and the API's view is called with both None
    (its permission class answers 404). A member without the second factor that the workspace asks for is sent to set
    one up; the API answers 403.
    """

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        slug = kwargs.get("slug")
        page = request.path_info.startswith(PAGES)
        if slug is None or not (page or request.path_info.startswith(API)):
            return None
        if iscoroutinefunction(view):
            raise ImproperlyConfigured(f"{view!r} is async: open the scope inside `database_sync_to_async` instead.")
        # DRF keeps the class of a view in `cls`, where the methods are named that open their scopes themselves.
        own = request.method in getattr(getattr(view, "cls", view), "own_scope", ())
        if own or not request.user.is_authenticated:
            return self._answer(request, self._membership(request, slug, page), partial(view, request, *args, **kwargs))
        with user_scope(request.user.pk):
            found = self._membership(request, slug, page)
            if isinstance(found, Membership):
                enter(found.workspace_id)
                return self._answer(request, found, lambda: _whole(view(request, *args, **kwargs)))
        return self._answer(request, found, partial(view, request, *args, **kwargs))

    def _membership(self, request: HttpRequest, slug: str, page: bool) -> Membership | HttpResponse | None:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path()) if page else None
        try:
            return membership(request.user, slug)
        except NotFound:
            if page:
                raise
        except MfaRequired as refusal:
            if page:
                return _to_enrolment(request, refusal)
            request.refusal = refusal  # type: ignore[attr-defined]  # the view's permission class says it
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A page that names a workspace in its form only."""
        if isinstance(exception, MfaRequired) and not request.path_info.startswith("/api/"):
            return _to_enrolment(request, exception)
        return None

    def _answer(
        self,
        request: HttpRequest,
        found: Membership | HttpResponse | None,
        answer: Callable[[], HttpResponseBase],
    ) -> HttpResponseBase:
        if isinstance(found, HttpResponse):
            return found
        request.membership = found  # type: ignore[attr-defined]
        request.workspace = found.workspace if found else None  # type: ignore[attr-defined]
        if found is None:
            return answer()
        ids = {"workspace_id": str(found.workspace_id), "user_id": str(found.user_id)}
        run_id = (request.resolver_match.kwargs if request.resolver_match else {}).get("run_id")
        if run_id is not None:
            ids["run_id"] = str(run_id)
        with structlog.contextvars.bound_contextvars(**ids):
            return answer()


def _whole(response: HttpResponseBase) -> HttpResponseBase:
    """The answer, rendered before its transaction ends; that of an error takes back what was written."""
    if hasattr(response, "render"):
        response.render()
    if response.status_code >= 400:
        transaction.set_rollback(True)
    return response


def _to_enrolment(request: HttpRequest, refusal: MfaRequired) -> HttpResponse:
    messages.info(request, f"{refusal.workspace.name} is entered with two-step sign-in only. Set it up first.")
    back = request.get_full_path() if request.method in ("GET", "HEAD") else reverse("web:landing")
    return redirect_to_login(back, reverse("web:enrol_second_factor"))
