"""Accounts: who there is, how they stand, and what operators do with them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts import selectors
from apps.accounts.models import User
from apps.accounts.visit import device_of
from apps.console import impersonation, rights
from apps.console import people as services
from apps.console.looking import PAGE
from apps.console.page import Act, Link, ReasonForm, Search, Table, page
from apps.console.rights import Right, may

STATES = (("", "All"), ("active", "Active"), ("off", "Switched off"), ("operators", "Operators"))
EVENTS = 30


class PeopleSearch(Search):
    """By address or name."""

    q = forms.CharField(label="Address or name", required=False, max_length=200)
    state = forms.ChoiceField(choices=STATES, required=False)


class RightsForm(ReasonForm):
    """Whether somebody is an operator, and what the person may do as one."""

    staff = forms.BooleanField(label="Is an operator", required=False)
    chosen = forms.MultipleChoiceField(
        label="May",
        required=False,
        choices=[(str(right), str(right).replace("_", " ")) for right in Right],
        widget=forms.CheckboxSelectMultiple(),
    )
    field_order = ("staff", "chosen", "reason")


class ImpersonateForm(ReasonForm):
    """For how long."""

    minutes = forms.IntegerField(min_value=1, help_text="It ends by itself then.")
    field_order = ("minutes", "reason")


@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """Accounts, the newest first."""
    search = PeopleSearch(request.GET)
    asked = search.values()
    rows = services.listed(_operator(request), asked["q"] or "", asked["state"] or "")
    found = list(rows[asked["skip"] : asked["skip"] + PAGE])
    table = Table(
        "Accounts",
        ("Address", "Name", "State", "Two-step sign-in", "Operator", "Since", "Last sign-in"),
        [
            (
                Link(one.email, reverse("admin:person", args=[one.pk])),
                one.name,
                _state(one),
                _yes(one.mfa_since),
                _yes(one.is_staff),
                one.date_joined,
                one.last_login,
            )
            for one in found
        ],
        "Nobody matches.",
    )
    return page(request, "People", tables=(table,), search=search, older=search.older(found))


@require_http_methods(["GET", "HEAD", "POST"])
def person(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """One account. POST does one of the things that are offered."""
    operator = _operator(request)
    found = services.person(operator, user_id)
    addresses = EmailAddress.objects.filter(user=found).order_by("-primary", "email")
    sessions = list(selectors.sessions(found)[:PAGE])
    tables = [
        Table(
            "E-mail addresses",
            ("Address", "Confirmed", "Primary"),
            [(one.email, _yes(one.verified), _yes(one.primary)) for one in addresses],
        ),
        Table(
            "Sessions",
            ("Browser", "From", "Last seen", "Since"),
            [(device_of(one.agent), one.address, one.seen_at, one.created_at) for one in sessions],
            "Signed in nowhere.",
        ),
        Table(
            "What was done with the account",
            ("Action", "When", "From", "Facts"),
            [(one.action, one.at, one.address, _facts(one.data)) for one in selectors.events(found)[:EVENTS]],
        ),
    ]
    links = []
    if may(operator, Right.LOOK):
        links.append(Link("Workspaces of this person", f"{reverse('admin:workspaces')}?q={found.pk}"))
    return page(
        request,
        found.email,
        tables=tables,
        links=links,
        acts=_acts(request, operator, found),
        facts=[
            ("Name", found.name or "–"),
            ("Id", found.pk),
            ("State", _state(found)),
            ("Since", found.date_joined),
            ("Last sign-in", found.last_login or "–"),
            ("Two-step sign-in", _yes(found.mfa_since)),
            ("Operator", _rank(found)),
        ],
        above=[Link("People", reverse("admin:people"))],
    )


def _acts(request: HttpRequest, operator: User, found: User) -> list[Act]:
    """What this operator may do with this account, as it stands."""
    touchable = found.pk != operator.pk and (operator.is_superuser or not (found.is_staff or found.is_superuser))
    if not touchable or rights.is_machine(found):
        return []
    acts = (
        [
            Act(
                "deactivate",
                "Switch the account off",
                "It is signed out everywhere, its API keys open nothing, and nobody "
                "signs in to it. The person is told by mail, with your reason.",
                Right.PEOPLE,
                lambda reason: f"{services.deactivate(operator, found.pk, reason).email} is switched off.",
            ),
        ]
        if found.is_active
        else [
            Act(
                "reactivate",
                "Switch the account on",
                "The person is told by mail.",
                Right.PEOPLE,
                lambda reason: f"{services.reactivate(operator, found.pk, reason).email} is switched on.",
            ),
        ]
    )
    acts.append(
        Act(
            "sign_out",
            "Sign out everywhere",
            "All sessions end; the person is told by mail, with your reason.",
            Right.PEOPLE,
            lambda reason: f"{services.sign_out(operator, found.pk, reason)} sessions have ended.",
        )
    )
    if found.mfa_since is not None:
        acts.append(
            Act(
                "reset_second_factor",
                "Reset two-step sign-in",
                "For who has lost authenticator and recovery codes. Make "
                "sure first who asks for it. All sessions end; the person is told by mail, with your reason.",
                Right.PEOPLE,
                lambda reason: (
                    f"{services.reset_second_factor(operator, found.pk, reason).email} signs in without a code now."
                ),
                proof=True,
            )
        )
    if not EmailAddress.objects.filter(user=found, verified=True, primary=True).exists():
        acts.append(
            Act(
                "resend_confirmation",
                "Send the confirmation of the address again",
                "The link goes to the address that waits to be confirmed.",
                Right.PEOPLE,
                lambda reason: f"Sent to {services.resend_confirmation(operator, found.pk, reason, request)}.",
            )
        )
    if not impersonation.why_not(operator, found):
        acts.append(
            Act(
                "impersonate",
                "Act in this person's name",
                "You see the site as this person does and work in it. The "
                "person is told at once by mail, with your address and your reason, and every write names you.",
                Right.IMPERSONATE,
                lambda minutes, reason: _impersonate(request, operator, found, minutes, reason),
                ImpersonateForm,
                proof=True,
                initial={"minutes": min(15, settings.ATTRACTOR.console.impersonation_minutes)},
            )
        )
    if operator.is_superuser and not found.is_superuser:
        acts.append(
            Act(
                "set_rights",
                "Set an operator's rights",
                "Operators enter this console. The person is told by mail.",
                Right.PEOPLE,
                lambda staff, chosen, reason: _set_rights(operator, found, staff, chosen, reason),
                RightsForm,
                proof=True,
                initial={"staff": found.is_staff, "chosen": [str(one) for one in services.rights_of(found)]},
            )
        )
    return acts


def _impersonate(request: HttpRequest, operator: User, found: User, minutes: int, reason: str) -> HttpResponse:
    impersonation.enter(request, impersonation.begin(operator, found.pk, minutes, reason))
    return redirect("web:landing")


def _set_rights(operator: User, found: User, staff: bool, chosen: list[str], reason: str) -> str:
    services.set_rights(operator, found.pk, staff, [Right(one) for one in chosen], reason)
    return f"{found.email} is {'an' if staff else 'no'} operator."


def _operator(request: HttpRequest) -> User:
    found: Any = request.user
    return found  # type: ignore[no-any-return]  # `admin_view` has let in nobody else


def _state(user: User) -> str:
    if user.deleted_at is not None:
        return "deleted by the person"
    return "active" if user.is_active else "switched off"


def _rank(user: User) -> str:
    if user.is_superuser:
        return "superuser"
    return ", ".join(services.rights_of(user)) or _yes(user.is_staff)


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def _facts(data: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in data.items())
