"""Second factors that were wrong: counted, noted, and told to the person when there are many in a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from apps.accounts.mfa import patience
from apps.accounts.mfa.patience import Kind
from apps.accounts.notices import Notice, tell

if TYPE_CHECKING:
    from apps.accounts.models import CodeFailures, User

log = structlog.get_logger(__name__)


def note(user: User, counts: Mapping[str, CodeFailures], kind: str) -> None:
    """One more wrong one of this kind. `counts` are those of `patience.held`, in whose transaction it is called."""
    patience.count(counts, (kind, Kind.ACCOUNT))
    log.warning("wrong_second_factor", user_id=str(user.pk), kind=kind, count=counts[Kind.ACCOUNT].count)
    if counts[Kind.ACCOUNT].count == patience.WARN_AFTER:
        tell(user, Notice.GUESSED, count=patience.WARN_AFTER)
