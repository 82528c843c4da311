"""The admin of the operators: for staff who have shown the second factor at its door a short while ago."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from csp.constants import NONCE, SELF
from csp.decorators import csp_replace
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from apps.console import session
from apps.console.rights import Right, is_operator, may

MAX_CODE = 64
POLICY: Final = {"script-src": [SELF, NONCE], "style-src": [SELF, NONCE]}
"""How the content policy of the console differs: Django's templates know of no nonces, and load files of ours alone."""
PAGES: tuple[tuple[Right, str, str], ...] = (
    (Right.PEOPLE, "People", "people"),
    (Right.LOOK, "Workspaces", "workspaces"),
    (Right.LOOK, "Runs", "runs"),
    (Right.AUDIT, "Audit log", "audit"),
    (Right.AUDIT, "Operators' log", "operator_log"),
    (Right.LOOK, "Model versions", "networks"),
    (Right.SITE, "Feature flags", "flags"),
    (Right.SITE, "Banners", "banners"),
)
"""What the navigation offers: who sees it, its name, its address."""


class OperatorSite(AdminSite):
    """Django's admin with pages of its own and a door of its own: the second factor, each time."""

    site_header = "Attractor console"
    site_title = "Attractor console"
    index_title = "Console"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Takes lists that are looked at only: those which libraries bring write past our services and their log."""
        from apps.console.read_only import ReadOnly

        if admin_class is not None and issubclass(admin_class, ReadOnly):
            super().register(model_or_iterable, admin_class, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the person is an operator whose session has shown the second factor, and whose console is open."""
        person: Any = request.user
        return (
            person.is_authenticated
            and person.api_key is None
            and is_operator(person)
            and person.is_verified()
            and session.is_open(request)
        )

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        return csp_replace(POLICY)(super().admin_view(view, cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The door. Who is not signed in goes to the site's login, and who is no operator home."""
        return _door(request)

    def password_change(  # type: ignore[override]  # another page answers
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """There is one page for that, which asks for a proof and tells the person."""
        return redirect("account_change_password")

    def get_urls(self) -> list[URLResolver | URLPattern]:
        # Not at the top: admin sites are made while apps are still being loaded.
        from apps.console.views import audit, banners, flags, networks, people, runs, workspaces

        pages = (
            ("people/", people.people, "people"),
            ("people/<uuid:user_id>/", people.person, "person"),
            ("workspaces/", workspaces.workspaces, "workspaces"),
            ("workspaces/<uuid:workspace_id>/", workspaces.workspace, "workspace"),
            ("runs/", runs.runs, "runs"),
            ("runs/<uuid:workspace_id>/<uuid:run_id>/", runs.run, "run"),
            ("audit/", audit.audit, "audit"),
            ("audit/export/", audit.export, "audit_export"),
            ("operators/", audit.operator_log, "operator_log"),
            ("models/", networks.networks, "networks"),
            ("flags/", flags.flags, "flags"),
            ("flags/<slug:name>/", flags.flag, "flag"),
            ("banners/", banners.banners, "banners"),
        )
        own: list[URLResolver | URLPattern] = [
            path(route, self.admin_view(view), name=name) for route, view, name in pages
        ]
        # Whoever closes it need not be let in first: to who is shut out already it is closed.
        return [*own, path("close/", _close, name="close"), *super().get_urls()]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """The console's pages, then Django's lists of what may only be looked at."""
        listed: list[dict[str, Any]] = super().get_app_list(request, app_label)
        if app_label is not None:
            return listed
        person: Any = request.user
        offered = [
            {
                "name": title, "object_name": name, "admin_url": reverse(f"admin:{name}"), "view_only": True,
                "perms": {"view": True}, "add_url": None, "model": None,
            }
            for right, title, name in PAGES if may(person, right)
        ]  # fmt: skip
        own = {
            "name": "Console", "app_label": "console", "app_url": reverse("admin:index"), "has_module_perms": True,
            "models": offered,
        }  # fmt: skip
        return [own, *listed]


@never_cache
@require_POST
def _close(request: HttpRequest) -> HttpResponse:
    """Close the console; the person stays signed in to the site."""
    answer = redirect("web:landing")
    if session.KEY in request.session:
        messages.success(request, "The console is closed. You are still signed in to the site.")
    session.end(request, answer)
    return answer


@never_cache
@sensitive_post_parameters("code", "passkey")
def _door(request: HttpRequest) -> HttpResponse:
    from apps.accounts import proof
    from apps.accounts.mfa import codes
    from apps.accounts.mfa.challenges import Purpose
    from apps.web.views.account import factors

    person: Any = request.user
    asked = request.POST.get("next") or request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    back = asked if safe and asked.startswith(session.path()) else reverse("admin:index")
    if not person.is_authenticated:
        return redirect_to_login(f"{reverse('admin:login')}?{urlencode({'next': back})}")
    if person.is_staff and person.mfa_since is None:
        messages.info(request, "The console needs two-step sign-in. Set it up first.")
        return redirect_to_login(back, reverse("web:enrol_second_factor"))
    if not is_operator(person):
        messages.error(request, "The console is for the operators of this site.")
        return redirect("web:landing")
    problem = passkey_problem = ""
    if request.method == "POST":
        if "passkey" in request.POST:
            passkey_problem = factors.answered(request, person, Purpose.PROVE).problem
        else:
            problem = codes.check(person, request.POST.get("code", "")[:MAX_CODE]).problem
        if not problem and not passkey_problem:
            proof.give(request, person)
            answer = HttpResponseRedirect(back)
            session.begin(request, answer)
            return answer
    context = {
        "problem": problem, "next": back, "offer": factors.offer(request, person, Purpose.PROVE, passkey_problem),
    }  # fmt: skip
    return render(request, "console/door.html", context, status=422 if problem or passkey_problem else 200)
