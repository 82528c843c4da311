"""Why a run is not accepted, not changed or not written to."""

from apps.ops.refusal import Refusal


class QuotaExceeded(Refusal):
    """The workspace uses as much as it may; the same request can succeed when other runs are over."""

    status = 429
    code = "quota_exceeded"
    title = "The workspace's quota is used up"


class RunIsOver(Refusal):
    """A final run takes no commands."""

    status = 409
    code = "run_is_over"
    title = "The run is over"


class NothingToRepeat(Refusal):
    """No point of the run is to be computed again."""

    status = 409
    code = "nothing_to_repeat"
    title = "There are no points to repeat"


class NotReproducible(Refusal):
    """What a run was made of is not there, or it has no result to compare with."""

    status = 409
    code = "not_reproducible"
    title = "The run cannot be reproduced"


class NothingToApply(Refusal):
    """The run has found no values."""

    status = 409
    code = "nothing_to_apply"
    title = "There are no fitted values"


class GraphChanged(Refusal):
    """The graph has a newer version than the one that was computed."""

    status = 409
    code = "graph_changed"
    title = "The graph has changed since"


class FormatNotAllowed(Refusal):
    """What the run left cannot be written in this format."""

    status = 400
    code = "format_not_allowed"
    title = "The format does not fit"


class NothingRecorded(Refusal):
    """There is nothing to export."""

    status = 409
    code = "nothing_recorded"
    title = "There is nothing to export"


class RecordingPending(Refusal):
    """What the run recorded is being put together."""

    status = 409
    code = "recording_pending"
    title = "The recording is put together"


class NotGivenUp(Refusal):
    """A recording cannot be tried again."""

    status = 409
    code = "not_given_up"
    title = "The recording cannot be tried again"


class ExportIsOver(Refusal):
    """What has ended cannot be cancelled."""

    status = 409
    code = "export_is_over"
    title = "The export is over"


class NotImported(Refusal):
    """A file has faults; every one is listed."""

    status = 422
    code = "not_imported"
    title = "The file cannot be imported"


class NotClaimable(Exception):
    """The run is not waiting for a worker (any more): the message that named it was a repetition."""


class Fenced(Exception):
    """The attempt does not hold its run any more; the worker must stop and write nothing."""
