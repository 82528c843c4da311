"""What can go wrong between a program and the server. Each says what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from attractor.client.types import ExportError, Fault, RunError


class ClientError(Exception):
    """Base of all errors of the client."""


class NotConfigured(ClientError):
    """No server or no key is known."""


class Unreachable(ClientError):
    """The server did not answer. `sent` says whether it may have received the request."""

    def __init__(self, message: str, *, sent: bool, lasting: bool = False) -> None:
        self.sent = sent
        self.lasting = lasting
        """Whether asking again is in vain, as with a certificate that is not trusted."""
        super().__init__(message)


class BadAnswer(ClientError):
    """What came is no answer of an Attractor server that this client understands."""


class RedirectRefused(BadAnswer):
    """The server sends the client elsewhere. Nothing was sent there, the key least of all."""


class ApiError(ClientError):
    """The server has refused a request.

    Attributes:
        status: of HTTP.
        code: stable name of the kind of error.
        title: the kind of error, for people.
        detail: what happened.
        faults: every problem of the request: `place`, `message` and `mend`.
        request_id: by which the operator finds the request in the server's log.
        retry_after: seconds after which the server wants to be asked again; None when it has not said.
    """

    def __init__(
        self, status: int, code: str, title: str, detail: str = "", faults: Sequence[Fault] = (),
        request_id: str | None = None, retry_after: float | None = None,
    ) -> None:  # fmt: skip
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.faults = tuple(faults)
        self.request_id = request_id
        self.retry_after = retry_after
        lines = [f"{title} ({status})" + (f": {detail}" if detail and detail != title else "")]
        lines += [f"  {fault.place}: {fault.message} {fault.mend}" for fault in self.faults]
        super().__init__("\n".join(lines))


class NotLoggedIn(ApiError):
    """401: the key is not known, has expired or was revoked."""


class Forbidden(ApiError):
    """403: the role, or a key at all, does not allow it."""


class NotFound(ApiError):
    """404: there is no such thing, or not in the key's workspace."""


class Conflict(ApiError):
    """409 or 412: it is not so any more, a run that is over for one."""


class Invalid(ApiError):
    """400, 413, 415 or 422: the request cannot be fulfilled as it stands; `faults` lists every reason."""


class TooManyRequests(ApiError):
    """429: asked too often; `retry_after` says when it may go on."""


class QuotaExceeded(ApiError):
    """429: the workspace uses as much as it may; other runs must be over first."""


class ServerFault(ApiError):
    """5xx: a fault of the server, or it is away for a while."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid, 401: NotLoggedIn, 403: Forbidden, 404: NotFound, 409: Conflict, 412: Conflict, 413: Invalid,
    415: Invalid, 422: Invalid, 429: TooManyRequests,
}  # fmt: skip


def kind_of(status: int, code: str) -> type[ApiError]:
    """The class of error that a status of 400 or more stands for."""
    if status >= 500:
        return ServerFault
    return QuotaExceeded if code == "quota_exceeded" else _BY_STATUS.get(status, ApiError)


class RunNotOver(ClientError):
    """A run that goes on has no result yet: `wait` for it, or `follow` it."""


class ExportFailed(ClientError):
    """There is no file of an export.

    Attributes:
        state: `failed`, `cancelled`, or `succeeded` when its file was deleted since.
        error: code, message and mend of one that failed.
    """

    def __init__(self, state: str, error: ExportError | None) -> None:
        self.state = state
        self.error = error
        why = "its file was deleted" if state == "succeeded" else f"it is {state}"
        super().__init__(f"the export has no file: {why}" if error is None else f"{error.message} {error.mend}")


class RunNotSucceeded(ClientError):
    """A run that has failed or was cancelled has no result.

    Attributes:
        state: `failed` or `cancelled`.
        error: code, node, tick, message and mend of a failed run.
    """

    def __init__(self, run_id: object, state: str, error: RunError | None) -> None:
        self.state = state
        self.error = error
        why = ""
        if error is not None:
            place = " at ".join(part for part in (error.node, f"tick {error.tick}" if error.tick else None) if part)
            why = f" ({place})" if place else ""
            why += f": {error.message} {error.mend}"
        super().__init__(f"run {run_id} is {state}{why}")
