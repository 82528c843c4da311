"""The step of a login in which the second factor is asked for; no login ends without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.account.internal.stagekit import get_pending_stage
from allauth.account.stages import LoginStage
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django_otp import login as bind

if TYPE_CHECKING:
    from apps.accounts.mfa.factors import Factor
    from apps.accounts.models import User


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
        return redirect(self.urlname), True


def pending(request: HttpRequest) -> SecondFactorStage | None:
    """The step, if that is what the login of this browser waits for."""
    stage = get_pending_stage(request)
    return stage if isinstance(stage, SecondFactorStage) else None


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
