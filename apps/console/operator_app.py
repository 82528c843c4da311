from django.contrib.admin.apps import AdminConfig


class OperatorAdmin(AdminConfig):
    """Django's admin app with `OperatorSite` as its site."""

    default_site = "apps.console.site.OperatorSite"
