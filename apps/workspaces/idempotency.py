"""Requests that may be sent twice and must take hold once: the header `Idempotency-Key`.

A client that did not hear the answer to a POST sends it again with the same key, and is given what the first one made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from apps.accounts.models import User
from apps.ops.refusal import Fault, Refusal
from apps.workspaces.models import IdempotencyKey
from apps.workspaces.scope import current_workspace_id

HEADER: Final = "Idempotency-Key"
MAX_LENGTH: Final = 200
KEPT: Final = timedelta(hours=24)

PARAMETER: Final = OpenApiParameter(
    HEADER, str, OpenApiParameter.HEADER,
    description=f"Up to {MAX_LENGTH} characters of your own. Within {KEPT.total_seconds() / 3600:.0f} hours a request "
    "with the same key and body makes nothing new, and is answered with what the first one made.",
)  # fmt: skip


class KeyUsed(Refusal):
    """The key came with another request before."""

    status = 422
    code = "idempotency_key_used"
    title = "The key belongs to another request"


def once(actor: User, request: Request, make: Callable[[], UUID], said: Any = None) -> UUID:
    """The id of what a request makes: now, or when it came with its key for the first time.

    Call it inside the scope, and so the transaction, in which the thing is made: key and thing are written together or
    not at all, and a second request waits until the first has ended.

    Args:
        said: JSON-able, what the request asks for; None for what its body says.

    Raises:
        KeyUsed: the key came with another body or address before.
        ValidationError: it is no key.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return make()
    if not (0 < len(key) <= MAX_LENGTH and key.isprintable()):
        raise ValidationError({HEADER: f"Give 1 to {MAX_LENGTH} printable characters."})
    IdempotencyKey.objects.filter(actor=actor, created_at__lt=timezone.now() - KEPT).delete()
    text = json.dumps([request.method, request.path, request.data if said is None else said], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    # Its own part of the transaction: a request that is refused leaves its key free.
    with transaction.atomic():
        held, _ = IdempotencyKey.objects.get_or_create(
            actor=actor, key=key, defaults={"workspace_id": current_workspace_id(), "request": digest}
        )
        if held.request != digest:
            raise KeyUsed([Fault(HEADER, "It was used for another request.", "Use a new key for every new request.")])
        if held.made is None:
            held.made = make()
            held.save(update_fields=["made"])
    return held.made
