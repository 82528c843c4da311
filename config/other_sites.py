"""Sites by which people sign in, as allauth is told of them."""

from __future__ import annotations

from typing import Any

from config.schema import Oauth
from config.secrets.reference import Reference
from config.secrets.store import SecretStore


def oidc_app(id: str, name: str, issuer: str, client_id: str, secret: str) -> dict[str, Any]:
    """One OpenID Connect server."""
    return {
        "provider_id": id, "name": name, "client_id": client_id, "secret": secret, "settings": {"server_url": issuer},
    }  # fmt: skip


def other_sites(oauth: Oauth, store: SecretStore) -> dict[str, Any]:
    """All of them, with their secrets; `config.layers` has seen that these are there."""

    def secret(reference: str) -> str:
        return store.value(Reference.parse(reference))

    oidc = [oidc_app(one.id, one.name, one.issuer, one.client_id, secret(one.client_secret)) for one in oauth.oidc]
    google, github = oauth.google, oauth.github
    if google.client_id and google.client_secret:
        oidc.insert(0, oidc_app("google", "Google", google.issuer, google.client_id, secret(google.client_secret)))
    sites: dict[str, Any] = {"openid_connect": {"APPS": oidc}, "github": {"APPS": [], "OAUTH_PKCE_ENABLED": True}}
    if github.url != "https://github.com":
        sites["github"]["GITHUB_URL"] = github.url
    if github.client_id and github.client_secret:
        sites["github"]["APPS"] = [{"client_id": github.client_id, "secret": secret(github.client_secret)}]
    return sites
