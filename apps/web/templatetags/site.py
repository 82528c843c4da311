"""Tags and filters that every page uses."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from apps.console import banners
from apps.presets.models import AcceptanceVerdict
from apps.runs.models import Run
from apps.web import sent_once, theme
from apps.web.numbers import shown
from apps.web.views.notices import dismissed
from apps.workspaces import selectors as workspaces
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Verb, may

register = template.Library()


@register.simple_tag(takes_context=True)
def theme_attribute(context: template.Context) -> SafeString | str:
    """` data-theme="…"` when the reader chose one; nothing leaves the choice to the system."""
    request = context.get("request")
    chosen = theme.chosen(request) if request else None
    return format_html(' data-theme="{}"', chosen) if chosen else ""


@register.simple_tag
def theme_cookie() -> str:
    """The cookie that the switch writes where there is JavaScript."""
    return theme.COOKIE


@register.simple_tag(takes_context=True)
def other_theme(context: template.Context) -> str:
    """The theme that the switch asks for when it is used without JavaScript."""
    request = context.get("request")
    return "light" if request and theme.chosen(request) == "dark" else "dark"


@register.simple_tag(takes_context=True)
def my_workspaces(context: template.Context) -> list[Workspace]:
    """The workspaces of the person who looks, read once a request; empty for the anonymous."""
    request = context.get("request")
    if request is None or not request.user.is_authenticated:
        return []
    if not hasattr(request, "workspaces_of_user"):
        request.workspaces_of_user = list(workspaces.workspaces_of(request.user))
    found: list[Workspace] = request.workspaces_of_user
    return found


@register.simple_tag(takes_context=True)
def current_workspace(context: template.Context) -> Workspace | None:
    """The workspace of the page, else the person's first one."""
    here: Workspace | None = context.get("workspace")
    return here or next(iter(my_workspaces(context)), None)


@register.inclusion_tag("web/site_notices.html", takes_context=True)
def site_notices(context: template.Context) -> dict[str, Any]:
    """What the operators tell everybody, in a place where a screen reader hears what comes later."""
    request = context.get("request")
    found = banners.shown(dismissed(request) if request else ())
    return {
        "notices": found, "back": request.get_full_path() if request else "/",
        "csrf_token": context.get("csrf_token"),
    }  # fmt: skip


@register.simple_tag(takes_context=True)
def manages_webhooks(context: template.Context) -> bool:
    """Whether the person who looks manages the webhooks of the workspace that the page is of."""
    membership = getattr(context.get("request"), "membership", None)
    return membership is not None and may(membership.role, Verb.MANAGE_WEBHOOKS)


@register.simple_tag(takes_context=True)
def secures_workspace(context: template.Context) -> bool:
    """Whether the person who looks says what the page's workspace asks of its members."""
    membership = getattr(context.get("request"), "membership", None)
    return membership is not None and may(membership.role, Verb.SECURE_WORKSPACE)


@register.simple_tag(takes_context=True)
def reads_audit(context: template.Context) -> bool:
    """Whether the person who looks may read the log of the workspace that the page is of."""
    membership = getattr(context.get("request"), "membership", None)
    return membership is not None and may(membership.role, Verb.READ_AUDIT)


@register.simple_tag
def form_number() -> str:
    """A number for a form that is taken once."""
    return sent_once.drawn()


@register.simple_tag(takes_context=True)
def tab_link(context: template.Context, name: str, label: str, *args: str) -> SafeString:
    """A tab of a workspace's own pages, marked when it leads to this one."""
    return format_html("<li>{}</li>", nav_link(context, name, label, *args))


@register.simple_tag(takes_context=True)
def nav_link(context: template.Context, name: str, label: str, *args: str) -> SafeString:
    """A link of the main navigation, marked when it leads to this page or one below it."""
    address = reverse(name, args=args)
    request = context.get("request")
    path = request.path if request else ""
    if path == address:
        return format_html('<a href="{}" aria-current="page">{}</a>', address, label)
    # The workspace's home is above all its pages; only the page itself counts there.
    if name != "web:workspace" and path.startswith(address):
        return format_html('<a href="{}" aria-current="true">{}</a>', address, label)
    return format_html('<a href="{}">{}</a>', address, label)


@register.simple_tag
def verdict_chip(verdicts: Iterable[AcceptanceVerdict]) -> SafeString:
    """The acceptance badge: failed if any tier failed, passed if some passed, else not yet verified.

    Only verdicts on the graph that the preset has now count.
    """
    found = [verdict for verdict in verdicts if verdict.applies]
    failed = [verdict.tier for verdict in found if not verdict.passed]
    if failed:
        return format_html('<span class="chip failed">Acceptance failed: {}</span>', ", ".join(failed))
    if found:
        tiers = ", ".join(verdict.tier for verdict in found)
        return format_html('<span class="chip passed">Acceptance passed: {}</span>', tiers)
    return format_html('<span class="chip unverified">{}</span>', "Not yet verified")


@register.simple_tag
def state_chip(run: Run) -> SafeString:
    """The run's state as a chip."""
    if run.paused and run.state == "running":
        return format_html('<span class="chip paused">{}</span>', "Paused")
    return format_html('<span class="chip {}">{}</span>', run.state, run.get_state_display())


@register.filter
def readable(name: Any) -> str:
    """A snake_case name as words with a capital first."""
    words = str(name).replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


@register.filter
def thousands(number: int) -> str:
    """A whole number with thin spaces between groups of three."""
    return f"{number:,}".replace(",", "\u202f")


@register.filter
def measured(value: Any) -> str:
    """A number, text or list as the tables of verdicts write it."""
    return shown(value)


@register.filter
def unlocal(number: float) -> str:
    """A number as HTML attributes want it."""
    return repr(number)


@register.filter
def moment(at: datetime, seconds: bool = False) -> SafeString:
    """A time as the reader's clock says it, with the name of the zone, which tells it apart from UTC."""
    words = date_format(timezone.localtime(at), "j M Y, H:i:s T" if seconds else "j M Y, H:i T")
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), words)


@register.filter
def ago(at: datetime) -> str:
    """How long something is past, by its largest unit."""
    if timezone.now() - at < timedelta(minutes=1):
        return "just now"
    return f"{timesince(at, depth=1)} ago"
