"""Parts of the site that operators switch on and off, everywhere or for one workspace, while it runs.

A table of our own and not a library's: a flag is bound to workspaces, of which no table without row-level security may
speak by a key; each change needs a reason and an entry in the log; and a flag that no code asks for cannot be made.
Which flags there are says the code that asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import transaction

from apps.console import board
from apps.console.log import given, note
from apps.console.models import Flag
from apps.console.rights import Right, require
from apps.ops.refusal import Fault, Invalid, Refusal
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Workspace
from apps.workspaces.scope import scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User

_BOARD: Final = "flags"


@dataclass(frozen=True, slots=True)
class Known:
    """A flag that code asks for.

    Attributes:
        text: what is switched by it.
        per_workspace: whether it can be otherwise for some.
        on: how it is until somebody says otherwise.
    """

    text: str
    per_workspace: bool = True
    on: bool = True


SUBMIT_RUNS: Final = "submit-runs"
SHARE_LINKS: Final = "share-links"
SIGN_UP: Final = "sign-up"
FLAGS: Final[Mapping[str, Known]] = {
    SUBMIT_RUNS: Known("New runs, sweeps and fits are queued. Those that are queued or computed go on in any case."),
    SHARE_LINKS: Known("Runs and graphs are shared by new links. Those that are open go on leading there."),
    SIGN_UP: Known("People make accounts, as far as the configuration lets them.", per_workspace=False),
}


class SwitchedOff(Refusal):
    """An operator has switched this part of the site off."""

    status = 403
    code = "switched_off"
    title = "This is switched off at present"


def is_on(name: str, workspace_id: UUID | None = None) -> bool:
    """Whether a part of the site is switched on, for a workspace if one is given."""
    found = board.kept(_BOARD, _read).get(name) or {"on": FLAGS[name].on, "workspaces": {}}
    return bool(found["workspaces"].get(str(workspace_id), found["on"]))


def demand(name: str, workspace_id: UUID | None = None, place: str | None = None) -> None:
    """Raises `SwitchedOff` unless it is on; `place` is where a form says so."""
    if not is_on(name, workspace_id):
        mend = "Try again later, or ask the operators of this site."
        raise SwitchedOff([Fault(place or name, "The operators of this site have switched this off for a time.", mend)])


def flag(name: str) -> Flag:
    """A flag as it is. Raises `NotFound`: no code asks for it."""
    if name not in FLAGS:
        raise NotFound(f"flag {name}")
    return Flag.objects.filter(pk=name).first() or Flag(name=name, on=FLAGS[name].on)


def set_flag(actor: User, name: str, on: bool, reason: str) -> Flag:
    """Switch a flag, for all workspaces that are not set apart.

    Raises:
        Invalid: there is no reason.
        NotFound: there is no such flag.
        PermissionDenied: the actor has no right to.
    """
    require(actor, Right.SITE)
    why = given(reason)
    with transaction.atomic():
        held = _held(name)
        before, held.on = held.on, on
        held.save()
        note(actor, "flag.set", held, why, on=on, on_before=before)
        board.changed(_BOARD)
    return held


def set_for_workspace(actor: User, name: str, workspace_id: UUID, on: bool | None, reason: str) -> Flag:
    """Set a workspace apart, or (None) no longer. The workspace's own log says so too.

    Raises as `set_flag`; `Invalid`: also for a workspace that there is not, unless it was set apart once and is gone by
    now; `NotFound`: also for a flag that is of the whole site only.
    """
    require(actor, Right.SITE)
    why = given(reason)
    with scope(workspace_id):
        held = _held(name)
        if not FLAGS[name].per_workspace:
            raise NotFound(f"flag {name} of a workspace")
        workspace = Workspace.objects.filter(pk=workspace_id).first()
        before = held.workspaces.pop(str(workspace_id), None)
        if workspace is None and (on is not None or before is None):
            raise Invalid([Fault("workspace", "There is no such workspace.", "Copy the id from its page.")])
        if on is not None:
            held.workspaces[str(workspace_id)] = on
        held.save()
        facts = {"on": on, "on_before": before}
        if workspace is not None:
            audit(actor, "flag.set", workspace, reason=why, flag=name, **facts)
        note(actor, "flag.set_for_workspace", held, why, workspace=str(workspace_id), **facts)
        board.changed(_BOARD)
    return held


def _held(name: str) -> Flag:
    made = flag(name)
    Flag.objects.bulk_create([made], ignore_conflicts=True)
    return Flag.objects.select_for_update().get(pk=name)


def _read() -> dict[str, dict[str, Any]]:
    return {row.pk: {"on": row.on, "workspaces": row.workspaces} for row in Flag.objects.filter(pk__in=list(FLAGS))}
