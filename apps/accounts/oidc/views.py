"""Where a login by an OpenID Connect server begins, and where it comes back to."""

from __future__ import annotations

from typing import Any

import requests
from allauth.account.internal.decorators import login_not_required
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import Http404, HttpRequest, HttpResponse

from apps.accounts.oidc.id_token import IdTokenRefused, claims_of


class OidcAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # allauth is not typed
    """Asks the server, and believes it no more than it proves."""

    nonce: str | None = None
    """That the login which comes back was begun with."""

    @property
    def openid_config(self) -> dict[str, Any]:
        """What the server says of itself; it must be the issuer that the operator named (Discovery, section 4.3)."""
        config: dict[str, Any] = super().openid_config
        if config.get("issuer") != self.issuer:
            raise OAuth2Error(f"The server calls itself {config.get('issuer')!r}, and not {self.issuer!r}.")
        return config

    @property
    def issuer(self) -> str:
        return str(self.get_provider().app.settings["server_url"])

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any) -> SocialLogin:
        """Who comes back, from the ID token; what it leaves out the server is asked for."""
        if request.GET.get("iss", self.issuer) != self.issuer:
            raise OAuth2Error("The answer comes from another server (RFC 9207).")
        id_token = kwargs["response"].get("id_token")
        if not isinstance(id_token, str) or not self.nonce:
            raise OAuth2Error("The server has sent no ID token.")
        try:
            claims = claims_of(id_token, self._keys(), self.issuer, app.client_id, self.nonce)
        except IdTokenRefused as refused:
            raise OAuth2Error(str(refused)) from refused
        if "email" not in claims and "userinfo_endpoint" in self.openid_config:
            more = self._fetch_user_info(token.token)
            if more.get("sub") != claims["sub"]:
                raise OAuth2Error("The server speaks of somebody else (Core, section 5.3.2).")
            claims = {**more, **claims}
        return self.get_provider().sociallogin_from_response(request, {"id_token": claims})

    def _keys(self) -> dict[str, Any]:
        with get_adapter().get_requests_session() as session:
            answer = session.get(self.openid_config["jwks_uri"])
            answer.raise_for_status()
        keys: dict[str, Any] = answer.json()
        return keys


class OidcCallbackView(OAuth2CallbackView):  # type: ignore[misc]
    """allauth's, which tells the adapter what the login was begun with."""

    def _get_state(self, request: HttpRequest, provider: Any) -> tuple[dict[str, Any] | None, HttpResponse | None]:
        state, response = super()._get_state(request, provider)
        self.adapter.nonce = (state or {}).get("nonce")
        return state, response


@login_not_required  # type: ignore[untyped-decorator]
def login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Send the browser to the server."""
    return _with_server(OAuth2LoginView, request, provider_id)


@login_not_required  # type: ignore[untyped-decorator]
def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Take the browser back."""
    return _with_server(OidcCallbackView, request, provider_id)


def _with_server(view: Any, request: HttpRequest, provider_id: str) -> HttpResponse:
    adapter = OidcAdapter(request, provider_id)
    try:
        adapter.get_provider()
    except SocialApp.DoesNotExist:
        raise Http404 from None
    try:
        answer: HttpResponse = view.adapter_view(adapter)(request)
    except (OAuth2Error, requests.RequestException) as error:
        # allauth answers for what happens on the way back; this is a server that cannot be asked where to go.
        from allauth.socialaccount.helpers import render_authentication_error

        answer = render_authentication_error(request, adapter.get_provider(), exception=error)
    return answer
