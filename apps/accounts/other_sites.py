"""What allauth asks us about signing in by way of another site."""

from __future__ import annotations

from typing import Any

import requests
import structlog
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.signals import social_account_added, social_account_removed
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from apps.accounts import proof
from apps.accounts.models import User, UserManager
from apps.accounts.notices import Notice, tell
from apps.accounts.services import settle
from apps.ops.outbound.session import guarded_session

log = structlog.get_logger(__name__)


class OtherSitesAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth is not typed
    """Nobody is let into an account because of an address alone.

    An address that the other site has verified and that has no account here becomes one. Where there is an account the
    person signs in to that first and links the other site there; an address that was not verified opens nothing.
    """

    def list_apps(
        self, request: HttpRequest | None, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Those of the configuration; none are kept in the database."""
        from allauth.socialaccount.adapter import _build_apps_from_settings

        found = _build_apps_from_settings(provider=provider, client_id=client_id)
        return [app for apps in found.values() for app in apps]

    def get_requests_session(self) -> requests.Session:
        """By which the other site is asked. It says itself where its keys and people are: only what the operator has
        configured may lie in our own network."""
        servers = [str(app.settings["server_url"]) for app in self.list_apps(None, "openid_connect")]
        return guarded_session([*servers, GitHubOAuth2Adapter.access_token_url, GitHubOAuth2Adapter.profile_url])

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        if sociallogin.state.get("process") == AuthProcess.CONNECT:
            if not request.user.is_authenticated:
                raise ImmediateHttpResponse(redirect_to_login(reverse("socialaccount_connections")))
            if not proof.is_fresh(request):
                raise ImmediateHttpResponse(_to_proof())
            return
        if sociallogin.is_existing:
            return
        site = sociallogin.provider.name
        verified = _verified(sociallogin)
        if not verified:
            messages.error(
                request, f"{site} gives us no e-mail address that it has verified. Verify yours there, or sign up here."
            )
            raise ImmediateHttpResponse(redirect("account_login"))
        if _known(verified):
            messages.info(
                request,
                f"There is an account with the address that {site} gives. Sign in to it as you always do, then connect "
                f"{site} here.",
            )
            raise ImmediateHttpResponse(redirect_to_login(reverse("socialaccount_connections")))
        sociallogin.email_addresses = [EmailAddress(email=verified[0], verified=True, primary=True)]
        sociallogin.user.email = verified[0]

    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> User:
        user: User = super().populate_user(request, sociallogin, data)
        user.email = UserManager.normalize_email(user.email)
        name = data.get("name") or " ".join(filter(None, (data.get("first_name"), data.get("last_name"))))
        user.name = "".join(one for one in str(name) if one.isprintable())[:120].strip()
        return user

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> User:
        """A new person, with a workspace and a first project."""
        try:
            with transaction.atomic():
                user: User = super().save_user(request, sociallogin, form)
                settle(user)
        except IntegrityError:
            # The same person came twice at once; the other request has made the account.
            raise ImmediateHttpResponse(redirect("account_login")) from None
        return user

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, error: Any = None, exception: Any = None, extra_context: Any = None
    ) -> None:
        log.warning("other_site_refused", provider=provider.sub_id, error=str(error), reason=str(exception or ""))

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """`apps.accounts.notices` tells people; allauth's own mail would say it twice."""


@receiver(social_account_added)
def linked(request: HttpRequest, sociallogin: Any, **_: Any) -> None:
    account: SocialAccount = sociallogin.account
    with transaction.atomic():
        tell(
            account.user, Notice.LINKED, provider=account.get_provider().name, label=str(account.get_provider_account())
        )


@receiver(social_account_removed)
def unlinked(request: HttpRequest, socialaccount: SocialAccount, **_: Any) -> None:
    tell(socialaccount.user, Notice.UNLINKED, provider=socialaccount.get_provider().name)


def _verified(sociallogin: Any) -> list[str]:
    """The addresses that the other site has verified, the primary one first."""
    found = sorted(
        (one for one in sociallogin.email_addresses if one.verified is True), key=lambda one: not one.primary
    )
    return [UserManager.normalize_email(one.email) for one in found]


def _known(addresses: list[str]) -> bool:
    return (
        User.objects.filter(email__in=addresses).exists()
        or EmailAddress.objects.filter(Q(email__in=addresses), verified=True).exists()
    )


def _to_proof() -> HttpResponse:
    return redirect(f"{reverse('web:prove')}?next={reverse('socialaccount_connections')}")
