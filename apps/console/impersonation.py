"""Acting in somebody's name, to see what the person sees.

The session stays the operator's own and names the impersonation; the middleware answers its requests as the person, in
pages, the API and sockets alike, until it ends: by the operator, at the sign-out, or when its time is over. It is never
of an operator, needs a reason, and is told to the person and to every workspace of the person, at its beginning and at
its end. What lets somebody in for longer or cannot be taken back is refused meanwhile (`permissions.OUTLASTING`,
services that ask `acting.refuse`, everything that asks for a proof, and pages of the account), and every entry that is
written names both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from apps.accounts import acting, visit
from apps.accounts.acting import Acting
from apps.accounts.models import User
from apps.accounts.notices import Notice, tell
from apps.console.log import given, note
from apps.console.models import Impersonation
from apps.console.rights import Right, is_machine, may, require
from apps.ops.refusal import Fault, Invalid, Refusal
from apps.workspaces.missing import NotFound
from apps.workspaces.scope import scope
from apps.workspaces.selectors import memberships_of
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from django.http import HttpRequest

KEY: Final = "impersonation"


class NotInTheirName(Refusal):
    """Nobody acts in the name of this account."""

    status = 403
    code = "not_impersonated"
    title = "Nobody acts in the name of this account"


def why_not(operator: User, user: User) -> str:
    """Why this operator may not act in the name of this account; empty: nothing is in the way."""
    if user.pk == operator.pk:
        return "It is your own."
    if user.is_staff or user.is_superuser:
        return "It is an operator's."
    if is_machine(user):
        return "It is no person's."
    return "" if user.is_active else "It is switched off."


def begin(operator: User, user_id: UUID, minutes: int, reason: str) -> Impersonation:
    """Let an operator act in somebody's name. Whoever calls has seen a fresh proof.

    Args:
        minutes: 1 to `console.impersonation_minutes`.

    Raises:
        Invalid: there is no reason, or the time is out of range.
        NotFound: there is no such account.
        NotInTheirName: it is an operator's or a machine's, or switched off.
        PermissionDenied: the operator has no right to, or acts in somebody's name already.
    """
    require(operator, Right.IMPERSONATE)
    why, most = given(reason), settings.ATTRACTOR.console.impersonation_minutes
    if not 1 <= minutes <= most:
        raise Invalid([Fault("minutes", f"{minutes} is out of range.", f"Give 1 to {most}.")])
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
        if user is None:
            raise NotFound(f"person {user_id}")
        if obstacle := why_not(operator, user):
            raise NotInTheirName([Fault("account", obstacle, "Choose another.")])
        now = timezone.now()
        made = Impersonation.objects.create(
            operator=operator, user=user, reason=why, began_at=now, until=now + timedelta(minutes=minutes)
        )
        note(operator, "impersonation.begin", user, why, impersonation=str(made.pk), until=made.until.isoformat())
        with visit.of_nobody():
            tell(user, Notice.IMPERSONATED, operator=operator.email, reason=why,
                 until=f"{made.until:%d %B %Y, %H:%M} UTC")  # fmt: skip
        _tell_workspaces(made, "impersonation.begin", reason=why, until=made.until.isoformat())
    return made


def end(impersonation_id: UUID, operator_id: UUID) -> bool:
    """End what this operator does in somebody's name; whether it was still going on, as far as anybody had written."""
    with transaction.atomic():
        rows = Impersonation.objects.select_for_update(of=("self",)).select_related("operator", "user")
        held = rows.filter(pk=impersonation_id, operator_id=operator_id, ended_at=None).first()
        if held is None:
            return False
        held.ended_at = min(timezone.now(), held.until)
        held.save(update_fields=["ended_at"])
        facts = {"impersonation": str(held.pk), "ended_at": held.ended_at.isoformat()}
        note(held.operator, "impersonation.end", held.user, **facts)
        with visit.of_nobody():
            tell(held.user, Notice.IMPERSONATION_ENDED, operator=held.operator.email)
        _tell_workspaces(held, "impersonation.end", ended_at=facts["ended_at"])
    return True


def end_expired() -> int:
    """End those whose time is over, for which no request has come since; how many. The sweeper's."""
    over = Impersonation.objects.filter(ended_at=None, until__lte=timezone.now()).values_list("pk", "operator_id")
    return sum(end(*one) for one in list(over))


def end_all_of(operator: User) -> int:
    """End whatever an operator does in anybody's name; how many. For who stops being one, or is signed out."""
    open_ones = Impersonation.objects.filter(ended_at=None, operator=operator).values_list("pk", "operator_id")
    return sum(end(*one) for one in list(open_ones))


def end_all_in_name_of(user: User) -> int:
    """End whatever operators do in this person's name; how many. For who becomes one of them."""
    open_ones = Impersonation.objects.filter(ended_at=None, user=user).values_list("pk", "operator_id")
    return sum(end(*one) for one in list(open_ones))


def still(ids: Collection[UUID]) -> set[UUID]:
    """Those of these impersonations that may go on: by their own rows, their operators' rights and the people's."""
    if not ids:
        return set()
    rows = Impersonation.objects.select_related("operator", "user")
    going_on = rows.filter(pk__in=ids, ended_at=None, until__gt=timezone.now())
    return {row.pk for row in going_on if may(row.operator, Right.IMPERSONATE) and not why_not(row.operator, row.user)}


def enter(request: HttpRequest, made: Impersonation) -> None:
    """Go on with this session in the person's name. Sockets that are open close: the session has another key."""
    leave(request)
    request.session[KEY] = str(made.pk)
    request.session.cycle_key()


def leave(request: HttpRequest) -> bool:
    """Go on as oneself; whether it was otherwise."""
    name = request.session.pop(KEY, None)
    if name is None:
        return False
    request.session.cycle_key()
    operator: Any = getattr(request, "operator", None) or request.user
    end(UUID(name), operator.pk)
    return True


def going_on(session: Mapping[str, Any], operator: Any) -> Impersonation | None:
    """That of a session, with `operator` and `user`; None when there is none, or it may not go on.

    Args:
        operator: whose session it is, as the second factor has let the person in.
    """
    name = session.get(KEY)
    if name is None or not operator.is_authenticated or not may(operator, Right.IMPERSONATE):
        return None
    try:
        found = Impersonation.objects.select_related("user").filter(pk=name, operator_id=operator.pk).first()
    except ValidationError:
        return None
    if found is None or found.ended_at is not None or found.until <= timezone.now():
        return None
    found.operator = operator
    if why_not(operator, found.user):
        return None
    found.user.impersonation_id = found.pk
    return found


def as_acting(found: Impersonation) -> Acting:
    """What the rest of the site knows of it."""
    return Acting(
        found.pk, found.operator_id, found.operator.email, found.user_id, found.user.email, found.until
    )  # fmt: skip


def _tell_workspaces(row: Impersonation, action: str, **facts: Any) -> None:
    with acting.acting(as_acting(row)):
        for membership in memberships_of(row.user):
            with scope(membership.workspace_id):
                audit(row.operator, action, membership.workspace, **facts)
