"""Reading of request bodies."""

import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from apps.ops.problems import EncodingNotTaken, PayloadTooLarge

SMALL = 64 * 1024
"""Bytes of a body that a view takes which does not say `large_body = True`: those that take graphs, designs, values."""
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""Texts of JSON, the last one also without its end: a quote that is met always matches, and nothing is read twice."""


class BoundedJSONParser(BaseParser):
    """JSON of at most `SMALL` bytes, for views with `large_body` of `limits.request_bytes`; nothing longer is read, let
    alone parsed. Values are counted before any is made, up to `limits.request_values`.

    Refuses what the database could not keep or JSON does not know: NaN, infinities and numbers as large, NUL
    characters, halves of surrogate pairs, and an object that names a key twice. Compressed bodies are refused unread:
    a small one can hold any amount.
    """

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = _read(stream, parser_context or {})
        most = settings.ATTRACTOR.limits.request_values
        if _marks(body) > most and _marks(_TEXTS.sub(b"", body)) > most:
            raise PayloadTooLarge(
                f"The request body may hold {most} values. Send less at a time, or ask the operator for a higher "
                "limits.request_values."
            )
        try:
            # As a text: of bytes json would guess the encoding, and JSON is UTF-8.
            value = json.loads(
                body.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_float
            )
            if b"\\u" in body:
                # Only escapes can spell a lone surrogate or a NUL; encoding finds the one, the search the other.
                if "\\u0000" in json.dumps(value):
                    raise ParseError("JSON: NUL characters are not allowed in texts.")
                json.dumps(value, ensure_ascii=False).encode()
        except RecursionError:
            raise ParseError("JSON: nested too deeply.") from None
        except UnicodeEncodeError:
            raise ParseError("JSON: a text has half of a surrogate pair.") from None
        except ValueError as error:  # also UnicodeDecodeError
            raise ParseError(f"JSON: {error}") from None
        return value


def _marks(body: bytes) -> int:
    """About how many values a body holds."""
    return sum(body.count(mark) for mark in (b",", b"[", b"{"))


def _read(stream: IO[bytes], context: Mapping[str, Any]) -> bytes:
    allowed: int = settings.ATTRACTOR.limits.request_bytes
    if not getattr(context.get("view"), "large_body", not context):
        allowed = min(allowed, SMALL)
    request = context.get("request")
    meta = request.META if request is not None else {}
    encoding = meta.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding.strip().lower() != "identity":
        raise EncodingNotTaken
    declared = meta.get("CONTENT_LENGTH")
    too_large = PayloadTooLarge(f"The request body may have {allowed} bytes. Send less.")
    if declared and int(declared) > allowed:
        raise too_large
    body = stream.read(allowed + 1)
    if len(body) > allowed:
        raise too_large
    return body


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:100]!r} is given twice")
    return value


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is too large for a number")
    return number


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
