"""An OpenID Connect server as allauth knows it."""

from __future__ import annotations

import secrets
from typing import Any

from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from django.http import HttpRequest, HttpResponse

from apps.accounts.oidc.views import OidcAdapter


class OidcProvider(OpenIDConnectProvider):  # type: ignore[misc]  # allauth is not typed
    """Always with PKCE and a nonce; what is asked of the server is for us to say, and not for the address."""

    pkce_enabled_default = True
    oauth2_adapter_class = OidcAdapter

    def get_auth_params_from_request(self, request: HttpRequest, action: str) -> dict[str, Any]:
        return dict(self.get_auth_params())

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:
        return list(self.get_scope())

    def serialize(self) -> dict[str, Any]:
        """Which server it is, while a login waits for a code: two may know us by the same `client_id`."""
        return {**super().serialize(), "id": self.app.provider_id}

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **kwargs: Any
    ) -> HttpResponse:
        nonce = secrets.token_urlsafe(32)
        kwargs["auth_params"] = {**(kwargs.get("auth_params") or self.get_auth_params()), "nonce": nonce}
        answer: HttpResponse = super().redirect(request, process, next_url, data, nonce=nonce, **kwargs)
        return answer


provider_classes = [OidcProvider]
