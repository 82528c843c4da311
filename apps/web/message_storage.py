"""What the next page says once, kept in a cookie until then, or in the session where it is too long for one."""

from typing import Any

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage


class PrefixedCookieStorage(CookieStorage):
    """Django's, in a cookie that is named as those of sessions are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cookie_name = f"{'__Host-' if settings.HTTPS else ''}messages"


class MessageStorage(FallbackStorage):
    """Django's own order: the cookie first, and the session for what does not fit."""

    storage_classes = (PrefixedCookieStorage, SessionStorage)
