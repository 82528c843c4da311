"""Why a message is not sent."""

from apps.ops.refusal import Refusal


class WebhookIsOff(Refusal):
    """Nothing is sent to an address that is turned off."""

    status = 409
    code = "webhook_is_off"
    title = "The webhook is turned off"
