"""Addresses of allauth's where something is asked first: a proof that it is still the person who is signed in, or
whether the other site is configured at all."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import views
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.github import views as github
from allauth.socialaccount.views import connections
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path
from django.views.generic import RedirectView

from apps.accounts.proof import proof_required


def if_configured(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """404 for a site by which nobody can sign in here."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except SocialApp.DoesNotExist:
            raise Http404("This site is not configured.") from None

    return guarded


def emptied(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Has the browser forget the pages of somebody who has just signed out.

    What it stores besides is no data of theirs: whether single keys act, which signing out must not switch on again.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        was_somebody = request.user.is_authenticated
        answer = view(request, *args, **kwargs)
        if was_somebody and not request.user.is_authenticated:
            answer.headers["Clear-Site-Data"] = '"cache"'
        return answer

    return guarded


urlpatterns = [
    path("email/", proof_required(views.email), name="account_email"),
    path("password/change/", proof_required(views.password_change), name="account_change_password"),
    path("password/set/", proof_required(views.password_set), name="account_set_password"),
    path("logout/", emptied(views.logout), name="account_logout"),
    path("3rdparty/", proof_required(connections), name="socialaccount_connections"),
    path("github/login/", if_configured(github.oauth2_login), name="github_login"),
    path("github/login/callback/", if_configured(github.oauth2_callback), name="github_callback"),
    # One page asks for proofs, and it knows of codes.
    path("reauthenticate/", RedirectView.as_view(pattern_name="web:prove"), name="account_reauthenticate"),
]
