"""Edits that must not undo somebody else's: `ETag` and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1; RFC 6585)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.ops.problems import ProblemSerializer
from apps.ops.refusal import Fault, Refusal

HEADER: Final = "If-Match"

PARAMETER: Final = OpenApiParameter(
    HEADER, str, OpenApiParameter.HEADER, required=True,
    description="The `ETag` of the state that you edit, or `*` for whatever state there is.",
)  # fmt: skip
IF_NONE_MATCH: Final = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER,
    description="`ETag`s of states that you have; the answer is 304 without a body if one of them is the newest.",
)  # fmt: skip


class CurrentStateSerializer(serializers.Serializer[Any]):
    """What there is in place of what was expected."""

    etag = serializers.CharField()
    version = serializers.IntegerField(required=False, help_text="Number of a graph's newest version.")


class StaleProblemSerializer(ProblemSerializer):
    """An edit of a state that is not the newest any more."""

    current = CurrentStateSerializer()


class PreconditionRequired(Refusal):
    """An edit did not say what it edits."""

    status = 428
    code = "precondition_required"
    title = "The edit must say which state it was made from"


class PreconditionFailed(Refusal):
    """What was to be edited is not as it was."""

    status = 412
    code = "precondition_failed"
    title = "It was changed in the meantime"


EDIT_ERRORS: Final[dict[int, Any]] = {
    412: OpenApiResponse(StaleProblemSerializer), 428: OpenApiResponse(ProblemSerializer),
}  # fmt: skip


def etag(revision: int) -> str:
    """The entity tag of the state after so many edits."""
    return f'"{revision}"'


@dataclass(frozen=True, slots=True)
class Precondition:
    """The states that an edit may be made of: entity tags, `*` for any. None: the client did not say."""

    tags: tuple[str, ...] | None

    @classmethod
    def of(cls, request: Request) -> Precondition:
        """What the request's `If-Match` says."""
        header = request.headers.get(HEADER)
        return cls(None if header is None else tuple(parse_etags(header)))

    def check(self, revision: int, **current: Any) -> None:
        """Call it while the edited row is locked; `current` is told to whoever comes too late.

        Raises:
            PreconditionRequired: the client did not say which state it edits.
            PreconditionFailed: it is another one. Weak tags match nothing.
        """
        tag = etag(revision)
        if self.tags is None:
            mend = f"Read it, and send its ETag in {HEADER}; {HEADER}: * takes whatever is there."
            raise PreconditionRequired([Fault(HEADER, "The header is missing.", mend)])
        if "*" not in self.tags and tag not in self.tags:
            fault = Fault(HEADER, f"The newest state is {tag}.", "Read it again, and make your edit in what you find.")
            raise PreconditionFailed([fault], {"current": {"etag": tag, **current}})


ANY: Final = Precondition(("*",))


def tagged(request: Request, tag: str, body: Mapping[str, Any], cache: str = "private, no-cache") -> Response:
    """The answer to a GET with its entity tag; 304 for who has that state already."""
    headers = {"ETag": tag, "Cache-Control": cache}
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if "*" in known or tag in (one.removeprefix("W/") for one in known):
        return Response(status=304, headers=headers)
    return Response(body, headers=headers)
