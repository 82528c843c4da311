"""Lists of presets and of the verdicts of their acceptance runs, in the operators' console."""

from django.contrib import admin

from apps.console.read_only import ReadOnly
from apps.presets.models import AcceptanceVerdict, Preset


@admin.register(Preset)
class PresetAdmin(ReadOnly):
    list_display = ("id", "title", "category", "version", "updated_at")
    list_filter = ("category",)
    search_fields = ("id", "title")


@admin.register(AcceptanceVerdict)
class AcceptanceVerdictAdmin(ReadOnly):
    list_display = ("preset", "tier", "passed", "code_version", "at")
    list_filter = ("preset", "tier", "passed")
