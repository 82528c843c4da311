"""The step of a login in which the second factor is asked for; no login ends without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from allauth.account.internal.stagekit import clear_login, get_pending_stage
from allauth.account.stages import LoginStage
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.crypto import constant_time_compare
from django_otp import login as bind

if TYPE_CHECKING:
    from apps.accounts.mfa.factors import Factor
    from apps.accounts.models import User


_BEGUN_WITH: Final = "begun_with"
"""Entry of the stage's state: the digest of the password that the person had when the code was first asked for."""


class SecondFactorStage(LoginStage):  # type: ignore[misc]  # allauth is not typed
    """Comes last, for whatever way somebody signs in by: password, other site, link in a mail."""

    key = "second_factor"
    urlname = "web:second_factor"

    def handle(self) -> tuple[HttpResponse | None, bool]:
        """allauth's question: an answer instead of the next step, and whether the login may go on later."""
        user = self.login.user
        # What is asked for now counts, not what was when the login began. Without a person it is one of the answers by
        # which an unknown address looks like a known one.
        if user is None or get_user_model().objects.get(pk=user.pk).mfa_since is None:
            return None, True
        self.state[_BEGUN_WITH] = user.get_session_auth_hash()
        return redirect(self.urlname), True

    def still_good(self) -> bool:
        """Whether the person's password is the one that the login was begun with: as with whole sessions, a new one
        ends what somebody who knew the old one has begun."""
        user, kept = self.login.user, self.state.get(_BEGUN_WITH, "")
        return user is not None and constant_time_compare(kept, user.get_session_auth_hash())


def pending(request: HttpRequest) -> SecondFactorStage | None:
    """The step, if that is what the login of this browser waits for. A login from before a new password is dropped."""
    stage = get_pending_stage(request)
    if not isinstance(stage, SecondFactorStage):
        return None
    if not stage.still_good():
        clear_login(request)
        return None
    return stage


def person_of(stage: SecondFactorStage) -> User:
    """Who is signing in."""
    user: User = stage.login.user
    return user


def finish(request: HttpRequest, stage: SecondFactorStage, device: Factor) -> HttpResponse:
    """Let the login go on, and bind its session to the factor that has answered."""
    answer: HttpResponse = stage.exit()
    # Also where the browser had a session of the person that was not whole: its old key opens nothing.
    request.session.cycle_key()
    bind(request, device)
    return answer
