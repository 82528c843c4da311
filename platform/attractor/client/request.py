"""Requests and answers without their way through the network: what is asked, and what an answer means."""

from __future__ import annotations

import json
import secrets
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlencode

from pydantic import BaseModel, TypeAdapter, ValidationError

from attractor.client.errors import ApiError, BadAnswer, RedirectRefused, kind_of
from attractor.client.types import Problem

T = TypeVar("T")

API = "/api/v1"
MAX_SHOWN = 200


@dataclass(frozen=True)
class Request(Generic[T]):
    """One request of the API.

    Attributes:
        method, path, query: what is asked; the path begins after `/api/v1`.
        answer: the type of the answer.
        body: sent as JSON.
        key: the Idempotency-Key of a request that makes something; the server then makes it once, however often
            it is sent.
    """

    method: str
    path: str
    answer: type[T]
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: BaseModel | None = None
    key: str | None = None

    @property
    def repeatable(self) -> bool:
        """Whether sending it again changes nothing more."""
        return self.method == "GET" or self.key is not None

    @property
    def target(self) -> str:
        return API + self.path + (f"?{urlencode(self.query)}" if self.query else "")

    @property
    def content(self) -> bytes | None:
        if self.method == "GET":
            return None
        sent = {} if self.body is None else self.body.model_dump(mode="json", exclude_unset=True)
        return json.dumps(sent, allow_nan=False).encode()

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json, application/problem+json"}
        if self.method != "GET":
            headers["Content-Type"] = "application/json"
        if self.key is not None:
            headers["Idempotency-Key"] = self.key
        return headers


def new_key() -> str:
    """An Idempotency-Key that nobody has used."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Answer:
    """What came back. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read(request: Request[T], answer: Answer) -> T:
    """What the answer says.

    Raises:
        ApiError: the server refused.
        BadAnswer: it is not the API's.
    """
    if 300 <= answer.status < 400:
        where = answer.headers.get("location", "nowhere")
        raise RedirectRefused(
            f"the server redirects to {_short(where)}, and the client does not follow: it would take your key there. "
            "If that is where your server is, log in there: attractor login --url …"
        )
    if answer.status >= 400:
        raise refusal(answer)
    if answer.status == 204:
        return _checked(request, None)
    return _checked(request, _json(answer))


def refusal(answer: Answer) -> ApiError:
    """The error that an answer with a status of 400 or more means."""
    extra: dict[str, Any] = {
        "request_id": answer.headers.get("x-request-id"),
        "retry_after": retry_after(answer.headers.get("retry-after")),
    }
    try:
        problem = Problem.model_validate_json(answer.body)
    except ValidationError:
        # Of a proxy in front of the server, for one.
        text = _short(answer.body.decode("utf-8", "replace"))
        return kind_of(answer.status, "")(
            answer.status, "unknown", "The server answered no problem+json", text, **extra
        )
    cls = kind_of(answer.status, problem.code)
    return cls(answer.status, problem.code, problem.title, problem.detail, problem.problems, **extra)


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header names, as a number or as a date; None without one or for nonsense."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC if moment.tzinfo else None)).total_seconds())


def _json(answer: Answer) -> Any:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise BadAnswer(
            f"the server answered {kind or 'nothing that says its type'}, not JSON: is this the address of an "
            "Attractor server, and not of a page in front of it?"
        )
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"the server answered JSON that is none: {_short(str(error))}") from None


def _checked(request: Request[T], value: Any) -> T:
    try:
        checked: T = _adapter(cast(Hashable, request.answer)).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise BadAnswer(
            f"the answer to {request.method} {request.path} is not what this client knows ({place}: {first['msg']}). "
            "Is the server newer? Then update the client."
        ) from None
    return checked


@lru_cache(maxsize=256)
def _adapter(answer: Any) -> TypeAdapter[Any]:
    return TypeAdapter(answer)


def _short(text: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
