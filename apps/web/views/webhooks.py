"""The webhooks of a workspace, and what was sent to them; for those who manage them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.ops.preconditions import Precondition, PreconditionFailed, PreconditionRequired, etag
from apps.ops.refusal import Invalid
from apps.web import shown_once
from apps.web.views.request import WorkspaceRequest
from apps.webhooks import selectors, services
from apps.webhooks.models import EVENTS, Webhook
from apps.webhooks.refusals import WebhookIsOff
from apps.workspaces.permissions import Verb, require

URL_LENGTH = 500
DESCRIPTION_LENGTH = 200
RECENT = 50
USUAL = ["run.succeeded", "run.failed"]


@dataclass(frozen=True)
class Conflict:
    """A field that somebody else has changed since the form was fetched.

    Attributes:
        before, now: as texts.
        held: what the form holds of it.
    """

    label: str
    before: str
    now: str
    held: str


@dataclass
class WebhookForm:
    """What was typed, kept as it was, and what is wrong with it by field.

    Attributes:
        revision: of the webhook that the form was filled from; empty in the form of a new one.
        was: what that webhook was like, by field.
        conflicts: what somebody else has changed since.
        stale: whether the webhook is not any more as the form knew it.
    """

    url: str = ""
    description: str = ""
    events: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    revision: str = ""
    was: dict[str, Any] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    stale: bool = False

    @classmethod
    def posted(cls, request: WorkspaceRequest) -> WebhookForm:
        form = cls(
            request.POST.get("url", "").strip(),
            request.POST.get("description", "").strip(),
            request.POST.getlist("events"),
            revision=request.POST.get("revision", ""),
            was=_known(request.POST.get("was", "")),
        )
        for name, value, most in (("url", form.url, URL_LENGTH), ("description", form.description, DESCRIPTION_LENGTH)):
            if len(value) > most:
                form.errors[name] = f"It has {len(value)} characters; {most} are possible."
        if not form.url:
            form.errors["url"] = "Give the address that is to be told."
        return form

    @classmethod
    def of(cls, hook: Webhook) -> WebhookForm:
        return cls(hook.url, hook.description, list(hook.events), revision=str(hook.revision), was=_fields(hook))

    def refused(self, refusal: Invalid) -> None:
        for fault in refusal.faults:
            self.errors[fault.place] = f"{fault.message} {fault.mend}"

    def merge(self, hook: Webhook) -> None:
        """Be a form of the webhook as it is now, and note what changed: what was typed stays, what was left alone
        becomes what it is now."""
        now = _fields(hook)
        for name, label in LABELS.items():
            # Of a form that does not say what it was filled with nothing counts as left alone.
            before = self.was.get(name)
            typed = now[name] if name == "active" else self.values[name]
            if now[name] == before or (before is None and now[name] == typed):
                continue
            if name == "active":
                held = "It stays so."
            elif _same(typed, now[name]):
                held = "The form below says so too."
            elif _same(typed, before):
                setattr(self, name, now[name])
                held = "Taken over into the form below."
            else:
                held = "What you typed is kept below, and takes its place when you save."
            self.conflicts.append(Conflict(label, _told(before), _told(now[name]), held))
        self.stale, self.revision, self.was = True, str(hook.revision), now

    @property
    def precondition(self) -> Precondition:
        """That the webhook is still the one the form was filled from."""
        return Precondition((etag(int(self.revision)),) if _is_number(self.revision) else None)

    @property
    def known(self) -> str:
        """`was` for a hidden field."""
        return json.dumps(self.was)

    @property
    def values(self) -> dict[str, Any]:
        return {"url": self.url, "events": self.events, "description": self.description}


LABELS = {"url": "Address", "events": "What it is told", "description": "What it is for", "active": "State"}


def _fields(hook: Webhook) -> dict[str, Any]:
    return {"url": hook.url, "events": list(hook.events), "description": hook.description, "active": hook.active}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _known(text: str) -> dict[str, Any]:
    """What a hidden field says that the form was filled with; nothing if it says nothing that can be read."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # of a form that is not ours
        return {}
    return found if isinstance(found, dict) else {}


def _same(one: Any, other: Any) -> bool:
    """Whether two values of a field are the same; events in any order."""
    if isinstance(one, list) and isinstance(other, list):
        return sorted(map(str, one)) == sorted(map(str, other))
    return bool(one == other)


def _told(value: Any) -> str:
    """A value of a field for people."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhooks(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """The workspace's webhooks. POST makes one and leads to its page, which shows its secret, once."""
    require(request.user, Verb.MANAGE_WEBHOOKS, while_closing=True)
    form = WebhookForm(events=USUAL)
    if request.method == "POST":
        form = WebhookForm.posted(request)
        if not form.errors:
            try:
                made, _ = services.create_webhook(request.user, request.workspace, **form.values)
            except Invalid as refusal:
                form.refused(refusal)
            else:
                shown_once.note(request, made)
                messages.success(request, "The webhook is there.")
                return _back(request, made.pk)
    context = {
        "workspace": request.workspace,
        "webhooks": list(selectors.webhooks()),
        "form": form,
        "events": EVENTS,
    }
    return render(request, "web/webhooks.html", context, status=422 if form.errors else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhook(request: WorkspaceRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """One webhook and its newest messages. POST changes its address, events or description, unless it is not any more
    as the form knew it: then the form comes back with what changed."""
    require(request.user, Verb.MANAGE_WEBHOOKS, while_closing=True)
    if request.method != "POST":
        hook = selectors.webhook(webhook_id)
        return _page(request, hook, WebhookForm.of(hook), shown=shown_once.take(request, hook))
    form = WebhookForm.posted(request)
    status = 422
    if not form.errors:
        try:
            services.change_webhook(request.user, request.workspace, webhook_id, form.precondition, **form.values)
            messages.success(request, "The webhook is changed.")
            return _back(request, webhook_id)
        except Invalid as refusal:
            form.refused(refusal)
        except (PreconditionFailed, PreconditionRequired) as refusal:
            form.merge(selectors.webhook(webhook_id))
            status = refusal.status
    return _page(request, selectors.webhook(webhook_id), form, status)


@require_POST
def rotate_webhook(request: WorkspaceRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """Draw a new secret and lead to the page that shows it, once."""
    services.rotate_secret(request.user, request.workspace, webhook_id)
    # The row is still held: it is the secret that was drawn here.
    shown_once.note(request, selectors.webhook(webhook_id))
    return _back(request, webhook_id)


@require_POST
def switch_webhook(request: WorkspaceRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """Turn a webhook on or off."""
    active = request.POST.get("active") == "true"
    services.change_webhook(request.user, request.workspace, webhook_id, active=active)
    told = "The webhook is on." if active else "The webhook is off. What waited to be sent to it is given up."
    messages.success(request, told)
    return _back(request, webhook_id)


@require_POST
def ping_webhook(request: WorkspaceRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """Send a trial message."""
    services.ping(request.user, request.workspace, webhook_id)
    messages.success(request, "A trial message is on its way. Load the page again to see how it went.")
    return _back(request, webhook_id)


@require_POST
def replay_delivery(request: WorkspaceRequest, slug: str, webhook_id: UUID, delivery_id: UUID) -> HttpResponse:
    """Send a message once more."""
    try:
        services.replay(request.user, request.workspace, webhook_id, delivery_id)
    except WebhookIsOff as refusal:
        messages.error(request, " ".join(f"{fault.message} {fault.mend}" for fault in refusal.faults))
    else:
        messages.success(request, "The message is sent once more.")
    return _back(request, webhook_id)


@require_POST
def delete_webhook(request: WorkspaceRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """Forget a webhook with its messages."""
    services.delete_webhook(request.user, request.workspace, webhook_id)
    messages.success(request, "The webhook is deleted.")
    return redirect("web:webhooks", slug=request.workspace.slug)


def _back(request: WorkspaceRequest, webhook_id: UUID) -> HttpResponse:
    return redirect("web:webhook", slug=request.workspace.slug, webhook_id=webhook_id)


def _page(
    request: WorkspaceRequest,
    hook: Webhook,
    form: WebhookForm,
    status: int = 200,
    shown: shown_once.Shown | None = None,
) -> HttpResponse:
    found = list(selectors.deliveries(hook).prefetch_related("log")[: RECENT + 1])
    context = {
        "workspace": request.workspace,
        "hook": hook,
        "deliveries": found[:RECENT],
        "more": len(found) > RECENT,
        "form": form,
        "events": EVENTS,
        "shown": shown,
        "changed": selectors.last_change(hook) if form.stale else None,
    }
    return render(request, "web/webhook.html", context, status=status)
