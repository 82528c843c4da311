"""What Django's own error reports show of the settings."""

from __future__ import annotations

from typing import Any

from django.views.debug import SafeExceptionReporterFilter

from config.secrets.redactor import REDACTOR


class KnownSecretsFilter(SafeExceptionReporterFilter):
    """Django goes by the names of settings; addresses with passwords in them have others."""

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        return REDACTOR.hidden(super().cleanse_setting(key, value))
