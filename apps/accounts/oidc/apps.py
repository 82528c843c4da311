from django.apps import AppConfig


class OidcConfig(AppConfig):
    """Is an app of its own because allauth finds the modules `provider` and `urls` by apps."""

    name = "apps.accounts.oidc"
    label = "accounts_oidc"
