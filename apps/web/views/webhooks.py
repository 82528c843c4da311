"""The webhooks of a workspace, and what was sent to them; for those who manage them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.ops.refusal import Invalid
from apps.web.views.request import WorkspaceRequest
from apps.webhooks import selectors, services
from apps.webhooks.models import EVENTS, Webhook
from apps.webhooks.refusals import WebhookIsOff
from apps.workspaces.permissions import Verb, require

URL_LENGTH = 500
DESCRIPTION_LENGTH = 200
RECENT = 50
USUAL = ["run.succeeded", "run.failed"]


@dataclass
class WebhookForm:
    """What was typed, kept as it was, and what is wrong with it by field."""

    url: str = ""
    description: str = ""
    events: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def posted(cls, request: WorkspaceRequest) -> WebhookForm:
        form = cls(
            request.POST.get("url", "").strip(),
            request.POST.get("description", "").strip(),
            request.POST.getlist("events"),
        )
        for name, value, most in (("url", form.url, URL_LENGTH), ("description", form.description, DESCRIPTION_LENGTH)):
            if len(value) > most:
                form.errors[name] = f"It has {len(value)} characters; {most} are possible."
        if not form.url:
            form.errors["url"] = "Give the address that is to be told."
        return form

    @classmethod
    def of(cls, hook: Webhook) -> WebhookForm:
        return cls(hook.url, hook.description, list(hook.events))

    def refused(self, refusal: Invalid) -> None:
        for fault in refusal.faults:
            self.errors[fault.place] = f"{fault.message} {fault.mend}"

    @property
    def values(self) -> dict[str, Any]:
        return {"url": self.url, "events": self.events, "description": self.description}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhooks(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """The workspace's webhooks. POST makes one and shows its secret, this once."""
    require(request.user, Verb.MANAGE_WEBHOOKS, while_closing=True)
    form, secret, made = WebhookForm(events=USUAL), "", None
    if request.method == "POST":
        form = WebhookForm.posted(request)
        if not form.errors:
            try:
                made, secret = services.create_webhook(request.user, request.workspace, **form.values)
                form = WebhookForm(events=USUAL)
            except Invalid as refusal:
                form.refused(refusal)
    context = {
        "workspace": request.workspace,
        "webhooks": list(selectors.webhooks()),
        "form": form,
        "events": EVENTS,
        "made": made,
        "secret": secret,
    }
    return render(request, "web/webhooks.html", context, status=422 if form.errors else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhook(request: WorkspaceRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """One webhook and its newest messages. POST changes its address, events or description."""
    require(request.user, Verb.MANAGE_WEBHOOKS, while_closing=True)
    form = WebhookForm.of(selectors.webhook(webhook_id))
    if request.method == "POST":
        form = WebhookForm.posted(request)
        if not form.errors:
            try:
                services.change_webhook(request.user, request.workspace, webhook_id, **form.values)
                messages.success(request, "The webhook is changed.")
                return _back(request, webhook_id)
            except Invalid as refusal:
                form.refused(refusal)
    return _page(request, webhook_id, form)


@never_cache
@require_POST
def rotate_webhook(request: WorkspaceRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """Draw a new secret and show it, this once."""
    secret = services.rotate_secret(request.user, request.workspace, webhook_id)
    return _page(request, webhook_id, WebhookForm.of(selectors.webhook(webhook_id)), secret)


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


def _page(request: WorkspaceRequest, webhook_id: UUID, form: WebhookForm, secret: str = "") -> HttpResponse:
    hook = selectors.webhook(webhook_id)
    found = list(selectors.deliveries(hook).prefetch_related("log")[: RECENT + 1])
    context = {
        "workspace": request.workspace,
        "hook": hook,
        "deliveries": found[:RECENT],
        "more": len(found) > RECENT,
        "form": form,
        "events": EVENTS,
        "secret": secret,
    }
    return render(request, "web/webhook.html", context, status=422 if form.errors else 200)
