"""Plans, and the word that a quota is nearly used up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.core import mail

from apps.runs import services
from apps.runs.refusals import QuotaExceeded
from apps.workspaces import alerts
from apps.workspaces.models import AuditEvent, QuotaAlert, Role
from apps.workspaces.plans import Plan
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db


def with_quotas(settings: Any, **quotas: Any) -> None:
    chosen = settings.ATTRACTOR.quotas.model_copy(update=quotas)
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": chosen})


class TwoPlans:
    """A provider of somebody else's: it knows one workspace as a paying one."""

    paying: UUID | None = None

    def plan_of(self, workspace_id: UUID) -> Plan:
        quotas = settings.ATTRACTOR.quotas
        most = 3 if workspace_id == TwoPlans.paying else 1
        values = {**quotas.model_dump(), "active_runs": most}
        return Plan("Gold" if most == 3 else "Free", SimpleNamespace(**values))  # type: ignore[arg-type]


def test_a_provider_says_what_each_workspace_may_use(ann: Any, bob: Any, settings: Any) -> None:
    chosen = settings.ATTRACTOR.workspaces.model_copy(update={"plans": f"{__name__}.TwoPlans"})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"workspaces": chosen})
    TwoPlans.paying = ann.workspace.pk
    for _ in range(3):
        ann.submit()
    bob.submit()
    for tenant in (ann, bob):
        with pytest.raises(QuotaExceeded):
            tenant.submit()
    assert "Gold" in ann.client.get(f"/w/{ann.workspace.slug}/usage/").content.decode()
    assert "Free" in bob.client.get(f"/w/{bob.workspace.slug}/usage/").content.decode()
    (measure,) = [one for one in ann.get("/usage/").json()["measures"] if one["name"] == "active_runs"]
    assert (measure["used"], measure["allowed"]) == (3, 3)


def test_at_80_per_cent_owners_and_administrators_are_told_once(
    ann: Any, member_of: Any, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    admin = member_of(ann, Role.ADMIN)
    member_of(ann, Role.EDITOR)
    with_quotas(settings, compute_seconds=1000)
    with django_capture_on_commit_callbacks(execute=True):
        ann.submit(max_seconds=700)
    assert mail.outbox == []
    with django_capture_on_commit_callbacks(execute=True):
        ann.submit(max_seconds=100)
        ann.submit(max_seconds=50)
    assert sorted(message.to[0] for message in mail.outbox) == sorted([ann.user.email, admin.email])
    assert "80 %" in mail.outbox[0].subject
    assert "compute time" in mail.outbox[0].body
    assert mail.outbox[0].alternatives[0][1] == "text/html"
    with scope(ann.workspace.pk):
        assert AuditEvent.objects.filter(action="quota.alert").count() == 1


def test_it_is_told_again_when_it_has_fallen_in_between(ann: Any, django_capture_on_commit_callbacks: Any) -> None:
    def told(share: float) -> int:
        with django_capture_on_commit_callbacks(execute=True), scope(ann.workspace.pk):
            alerts.note("storage", share * 1000, 1000)
        return len(mail.outbox)

    # Up, over, up and down around the threshold, well below it, and over once more.
    assert [told(share) for share in (0.5, 0.8, 0.95, 0.79, 0.81, 0.5, 0.85)] == [0, 1, 1, 1, 1, 1, 2]
    with scope(ann.workspace.pk):
        assert QuotaAlert.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_runs_that_pass_it_together_one_tells(ann: Any, settings: Any, at_once: Any) -> None:
    with_quotas(settings, compute_seconds=1000)
    ann.submit(max_seconds=700)
    at_once(lambda number: ann.submit(max_seconds=120 + number), 2)
    assert len(mail.outbox) == 1


def test_a_run_that_is_refused_tells_nothing(ann: Any, settings: Any, django_capture_on_commit_callbacks: Any) -> None:
    with_quotas(settings, compute_seconds=1000)
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(QuotaExceeded):
        ann.submit(max_seconds=1001)
    assert mail.outbox == []


def test_the_home_of_the_workspace_says_so_while_it_is_so(ann: Any, settings: Any) -> None:
    with_quotas(settings, compute_seconds=1000)
    home = f"/w/{ann.workspace.slug}/"
    ann.submit(max_seconds=700)
    assert "are used" not in ann.client.get(home).content.decode()
    run = ann.submit(max_seconds=150)
    assert "85 % are used" in ann.client.get(home).content.decode()
    services.command(ann.user, run, "cancel")
    assert "are used" not in ann.client.get(home).content.decode()
