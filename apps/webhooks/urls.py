"""Addresses under /api/v1/workspaces/<slug>/."""

from django.urls import path

from apps.webhooks import api

_HOOK = "webhooks/<uuid:webhook_id>/"
_DELIVERY = f"{_HOOK}deliveries/<uuid:delivery_id>/"

urlpatterns = [
    path("webhooks/", api.WebhookList.as_view(), name="api-webhooks"),
    path(_HOOK, api.WebhookDetail.as_view(), name="api-webhook"),
    path(f"{_HOOK}secret/", api.WebhookSecret.as_view(), name="api-webhook-secret"),
    path(f"{_HOOK}ping/", api.WebhookPing.as_view(), name="api-webhook-ping"),
    path(f"{_HOOK}deliveries/", api.DeliveryList.as_view(), name="api-webhook-deliveries"),
    path(_DELIVERY, api.DeliveryDetail.as_view(), name="api-webhook-delivery"),
    path(f"{_DELIVERY}replay/", api.DeliveryReplay.as_view(), name="api-webhook-replay"),
]
