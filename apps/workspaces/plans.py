"""What a workspace may use: its plan, as whoever sells or grants plans says.

The class that `workspaces.plans` names is asked. The one that is shipped, `ConfiguredPlans`, gives every workspace the
quotas of the configuration; another may ask a service of billing. It is asked often, inside transactions, and has to
answer from what it has at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, cast
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from apps.workspaces.scope import current_workspace_id


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
    return _provider(settings.ATTRACTOR.workspaces.plans).plan_of(workspace_id or current_workspace_id())


def quotas(workspace_id: UUID | None = None) -> Quotas:
    """What a workspace may use; without an id the one in force."""
    return plan(workspace_id).quotas


@lru_cache(maxsize=8)
def _provider(name: str) -> Plans:
    return cast(Plans, import_string(name)())
