"""The built-in presets and the verdicts of their acceptance runs. They belong to no workspace."""

from typing import ClassVar

from django.db import models
from django.utils import timezone


class Preset(models.Model):
    """A preset file of `presets/`, as seeded by `manage.py seed_presets`."""

    id = models.SlugField(primary_key=True, max_length=60)
    version = models.PositiveIntegerField()
    title = models.CharField(max_length=160)
    category = models.CharField(max_length=60)
    tags = models.JSONField(default=list)
    summary = models.TextField()
    document = models.JSONField()
    content_hash = models.CharField(max_length=80, help_text="Hash of the preset's graph.")
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager["Preset"]] = models.Manager()

    class Meta:
        ordering = ("category", "title")

    def __str__(self) -> str:
        return self.title


class AcceptanceVerdict(models.Model):
    """The outcome of one acceptance run of a preset, with every number behind it."""

    class Tier(models.TextChoices):
        QUICK = "quick", "Quick"
        FULL = "full", "Full"

    preset = models.ForeignKey(Preset, on_delete=models.CASCADE, related_name="verdicts")
    tier = models.CharField(max_length=5, choices=Tier.choices)
    passed = models.BooleanField()
    seeds = models.JSONField()
    numbers = models.JSONField()
    code_version = models.CharField(max_length=80)
    graph_hash = models.CharField(max_length=80)
    at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[models.Manager["AcceptanceVerdict"]] = models.Manager()

    class Meta:
        ordering = ("-at",)
        indexes = (models.Index(fields=["preset", "tier", "-at"], name="presets_verdict_latest"),)
        constraints = (
            models.CheckConstraint(name="presets_verdict_tier", condition=models.Q(tier__in=["quick", "full"])),
        )

    def __str__(self) -> str:
        return f"{self.preset_id} {self.tier}: {'passed' if self.passed else 'failed'}"

    @property
    def applies(self) -> bool:
        """Whether it speaks about the graph that the preset has now."""
        return self.graph_hash == self.preset.content_hash
