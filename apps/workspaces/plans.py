"""What a workspace may use: its plan, as whoever sells or grants plans says.

The class that `workspaces.plans` names is asked. The one that is shipped, `ConfiguredPlans`, gives every workspace the
quotas of the configuration; another may ask a service of billing. It is asked often, inside transactions, and has to
answer from what it has at hand. What an operator has set for one workspace (`QuotaGrant`) goes over what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final, Protocol, cast
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from apps.workspaces.scope import current_workspace_id, reading


class Quotas(Protocol):
    """Values of the quotas, as `config/schema.py` describes them."""

    @property
    def active_runs(self) -> int: ...
    @property
    def nodes(self) -> int: ...
    @property
    def memory(self) -> int: ...
    @property
    def flops(self) -> float: ...
    @property
    def ticks(self) -> int: ...
    @property
    def points(self) -> int: ...
    @property
    def run_seconds(self) -> int: ...
    @property
    def compute_seconds(self) -> int: ...
    @property
    def storage(self) -> int: ...
    @property
    def recording(self) -> int: ...
    @property
    def upload(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Granted:
    """Quotas of a workspace for which an operator has set some."""

    active_runs: int
    nodes: int
    memory: int
    flops: float
    ticks: int
    points: int
    run_seconds: int
    compute_seconds: int
    storage: int
    recording: int
    upload: int

    @classmethod
    def over(cls, said: Quotas, granted: Mapping[str, float]) -> Granted:
        """What the plan says, but for what was granted."""
        values: dict[str, Any] = {name: granted.get(name, getattr(said, name)) for name in NAMES}
        return cls(**{name: value if name == "flops" else int(value) for name, value in values.items()})


NAMES: Final = tuple(one.name for one in fields(Granted))
"""Of all quotas."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: the name that people see, and what it allows."""

    name: str
    quotas: Quotas


class Plans(Protocol):
    """Says which plan a workspace has; made once a process, without arguments."""

    def plan_of(self, workspace_id: UUID) -> Plan:
        """The plan of a workspace."""
        ...


class ConfiguredPlans:
    """Every workspace has the quotas of the configuration."""

    def plan_of(self, workspace_id: UUID) -> Plan:
        return Plan("Standard", settings.ATTRACTOR.quotas)


def plan(workspace_id: UUID | None = None) -> Plan:
    """That of a workspace; without an id of the one in force."""
    # Not at the top: providers of plans import this module before there are models.
    from apps.workspaces.models import QuotaGrant

    of = workspace_id or current_workspace_id()
    said = said_of(of)
    with reading(of):
        granted = dict(QuotaGrant.objects.values_list("name", "value"))
    return Plan(said.name, Granted.over(said.quotas, granted)) if granted else said


def said_of(workspace_id: UUID) -> Plan:
    """The plan of a workspace without what operators have set."""
    return _provider(settings.ATTRACTOR.workspaces.plans).plan_of(workspace_id)


def quotas(workspace_id: UUID | None = None) -> Quotas:
    """What a workspace may use; without an id the one in force."""
    return plan(workspace_id).quotas


@lru_cache(maxsize=8)
def _provider(name: str) -> Plans:
    return cast(Plans, import_string(name)())
