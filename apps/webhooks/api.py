"""REST: webhooks of a workspace, and what was sent to them."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops.paging import NewestFirst
from apps.ops.preconditions import EDIT_ERRORS, IF_NONE_MATCH, PARAMETER, Precondition, etag, tagged
from apps.ops.requests import StrictSerializer, body_of
from apps.webhooks import selectors, services
from apps.webhooks.models import EVENTS, Webhook, WebhookDelivery, WebhookTry
from apps.workspaces import idempotency
from apps.workspaces.api import LIST_ERRORS, NOT_FOUND, PROBLEM, WRITE_ERRORS, WorkspaceAPIView
from apps.workspaces.permissions import Verb, require


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    events = serializers.ListField(child=serializers.ChoiceField(EVENTS))

    class Meta:
        model = Webhook
        fields: tuple[str, ...] = ("id", "url", "description", "events", "active", "inactive_why", "created_at")
        read_only_fields: tuple[str, ...] = fields


class WebhookWithSecretSerializer(WebhookSerializer):
    secret = serializers.CharField(
        allow_null=True,
        help_text="Verifies messages, by Standard Webhooks. Shown this once; null in an answer repeated.",
    )

    class Meta(WebhookSerializer.Meta):
        fields = (*WebhookSerializer.Meta.fields, "secret")


class NewWebhookSerializer(StrictSerializer):
    url = serializers.CharField(max_length=500)
    events = serializers.ListField(child=serializers.CharField(max_length=60), min_length=1, max_length=len(EVENTS))
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)


class WebhookChangeSerializer(StrictSerializer):
    url = serializers.CharField(max_length=500, required=False)
    events = serializers.ListField(
        child=serializers.CharField(max_length=60), min_length=1, max_length=len(EVENTS), required=False
    )
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)
    active = serializers.BooleanField(required=False)


class SecretSerializer(serializers.Serializer[Any]):
    secret = serializers.CharField()


class DeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    class Meta:
        model = WebhookDelivery
        fields: tuple[str, ...] = (
            "id",
            "message",
            "event",
            "state",
            "tries",
            "due_at",
            "created_at",
            "finished_at",
            "failure",
        )
        read_only_fields: tuple[str, ...] = fields


class TrySerializer(serializers.ModelSerializer[WebhookTry]):
    class Meta:
        model = WebhookTry
        fields = ("number", "at", "seconds", "status", "error", "answer")


class DeliveryWithLogSerializer(DeliverySerializer):
    payload = serializers.DictField()
    log = TrySerializer(many=True)

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "payload", "log")


class _WebhookAPIView(WorkspaceAPIView):
    """Addresses and messages are seen by those only who manage them."""

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        # Writes ask once more, in their services.
        require(self.actor, Verb.MANAGE_WEBHOOKS, while_closing=True)


_READ_ERRORS: dict[int, Any] = {**NOT_FOUND, 403: PROBLEM}
_LIST_ERRORS: dict[int, Any] = {**LIST_ERRORS, 403: PROBLEM}


class WebhookList(_WebhookAPIView, ListAPIView[Webhook]):
    """The workspace's webhooks, newest first."""

    serializer_class = WebhookSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Webhook]:
        return selectors.webhooks()

    @extend_schema(responses={200: WebhookSerializer(many=True), **_LIST_ERRORS})
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Only owners and administrators see them."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        parameters=[idempotency.PARAMETER],
        request=NewWebhookSerializer,
        responses={201: WebhookWithSecretSerializer, **WRITE_ERRORS, 422: PROBLEM},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Have an address told what happens to runs. The secret is in this answer and in no other."""
        body = body_of(NewWebhookSerializer, request)
        drawn: str | None = None

        def created() -> UUID:
            nonlocal drawn
            made, drawn = services.create_webhook(self.actor, self.workspace, **body)
            return made.pk

        made = selectors.webhook(idempotency.once(self.actor, request, created))
        return Response({**WebhookSerializer(made).data, "secret": drawn}, status=201)


class WebhookDetail(_WebhookAPIView):
    """One webhook."""

    @extend_schema(
        operation_id="webhooks_retrieve", parameters=[IF_NONE_MATCH], responses={200: WebhookSerializer, **_READ_ERRORS}
    )
    def get(self, request: Request, slug: str, webhook_id: str) -> Response:
        """It with its entity tag."""
        found = selectors.webhook(webhook_id)
        return tagged(request, etag(found.revision), WebhookSerializer(found).data)

    @extend_schema(
        operation_id="webhooks_change",
        parameters=[PARAMETER],
        request=WebhookChangeSerializer,
        responses={200: WebhookSerializer, **WRITE_ERRORS, 422: PROBLEM, **EDIT_ERRORS},
    )
    def patch(self, request: Request, slug: str, webhook_id: str) -> Response:
        """Change it; what is left out stays as it is."""
        changes = body_of(WebhookChangeSerializer, request)
        changed = services.change_webhook(self.actor, self.workspace, webhook_id, Precondition.of(request), **changes)
        return Response(WebhookSerializer(changed).data, headers={"ETag": etag(changed.revision)})

    @extend_schema(
        operation_id="webhooks_delete", parameters=[PARAMETER], responses={204: None, **_READ_ERRORS, **EDIT_ERRORS}
    )
    def delete(self, request: Request, slug: str, webhook_id: str) -> Response:
        """Forget it with everything that was sent to it."""
        services.delete_webhook(self.actor, self.workspace, webhook_id, Precondition.of(request))
        return Response(status=204)


class WebhookSecret(_WebhookAPIView):
    """What signs the messages."""

    @extend_schema(
        operation_id="webhooks_rotate_secret", request=None, responses={201: SecretSerializer, **_READ_ERRORS}
    )
    def post(self, request: Request, slug: str, webhook_id: str) -> Response:
        """Draw a new secret. For 24 hours messages bear the signatures of those before too (of four at most)."""
        drawn = services.rotate_secret(self.actor, self.workspace, webhook_id)
        return Response({"secret": drawn}, status=201)


class WebhookPing(_WebhookAPIView):
    """A trial."""

    @extend_schema(operation_id="webhooks_ping", request=None, responses={202: DeliverySerializer, **_READ_ERRORS})
    def post(self, request: Request, slug: str, webhook_id: str) -> Response:
        """Send a message of type `ping`; its delivery says how that went."""
        return Response(DeliverySerializer(services.ping(self.actor, self.workspace, webhook_id)).data, status=202)


class DeliveryList(_WebhookAPIView, ListAPIView[WebhookDelivery]):
    """The messages to a webhook, newest first."""

    serializer_class = DeliverySerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        return selectors.deliveries(selectors.webhook(self.kwargs["webhook_id"]))

    @extend_schema(
        operation_id="webhooks_deliveries_list", responses={200: DeliverySerializer(many=True), **_LIST_ERRORS}
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Each with its state; one of them alone shows the log of its tries."""
        return super().get(request, *args, **kwargs)


class DeliveryDetail(_WebhookAPIView):
    """One message with the log of its tries."""

    @extend_schema(
        operation_id="webhooks_deliveries_retrieve", responses={200: DeliveryWithLogSerializer, **_READ_ERRORS}
    )
    def get(self, request: Request, slug: str, webhook_id: str, delivery_id: str) -> Response:
        found = selectors.delivery(selectors.webhook(webhook_id), delivery_id)
        return Response(DeliveryWithLogSerializer(found).data)


class DeliveryReplay(_WebhookAPIView):
    """A repetition."""

    @extend_schema(
        operation_id="webhooks_deliveries_replay",
        request=None,
        responses={202: DeliverySerializer, **_READ_ERRORS, 409: PROBLEM},
    )
    def post(self, request: Request, slug: str, webhook_id: str, delivery_id: str) -> Response:
        """Send the message once more, under its old number. 409 while the webhook is turned off."""
        made = services.replay(self.actor, self.workspace, webhook_id, delivery_id)
        return Response(DeliverySerializer(made).data, status=202)
