from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.presets.models import AcceptanceVerdict, Preset


class _ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own cannot be subscripted
    """Rows that commands write: to be looked at."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Preset)
class PresetAdmin(_ReadOnly):
    list_display = ("id", "title", "category", "version", "updated_at")
    list_filter = ("category",)
    search_fields = ("id", "title")


@admin.register(AcceptanceVerdict)
class AcceptanceVerdictAdmin(_ReadOnly):
    list_display = ("preset", "tier", "passed", "code_version", "at")
    list_filter = ("preset", "tier", "passed")
