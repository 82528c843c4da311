"""What becomes of runs and files when their workspace is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.files.storage import storages
from django.db.models.functions import Now

if TYPE_CHECKING:
    from apps.accounts.models import User


def cancel_runs(sender: Any, actor: User, **_: Any) -> None:
    """Have every active run and export of the workspace in force end."""
    from apps.runs import services
    from apps.runs.models import Export

    services.cancel_all(actor)
    under_way = Export.objects.filter(state__in=(Export.State.QUEUED, Export.State.RUNNING))
    under_way.update(state=Export.State.CANCELLED, finished_at=Now())


def delete_files(sender: Any, workspace_id: UUID, **_: Any) -> None:
    """Delete all files of a workspace, also what no row has named. Raises `files.AWAY`."""
    for place in (f"runs/{workspace_id}", f"artifacts/{workspace_id}"):
        _delete_below(place)


def _delete_below(place: str) -> None:
    storage = storages["default"]
    try:
        folders, names = storage.listdir(place)
    except FileNotFoundError:
        # Was never there, or is already gone; of a storage that is away this raises.
        storage.listdir("")
        return
    for folder in folders:
        _delete_below(f"{place}/{folder}")
    for name in names:
        storage.delete(f"{place}/{name}")
    # A storage of files has folders as well, which it deletes when they are empty; one of objects has none.
    storage.delete(place)
