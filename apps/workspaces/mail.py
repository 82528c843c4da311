"""Messages to people, as text and as HTML."""

import smtplib
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.core.mail import EmailMultiAlternatives
from django.template import loader

log = structlog.get_logger(__name__)


def send(to: Sequence[str], name: str, context: Mapping[str, Any]) -> bool:
    """Send each of these addresses a message of its own; whether the server took all of them.

    Args:
        name: of the templates `mail/<name>.subject.txt`, `.txt` and `.html`.
    """
    subject = " ".join(loader.render_to_string(f"mail/{name}.subject.txt", dict(context)).split())
    text = loader.render_to_string(f"mail/{name}.txt", dict(context))
    html = loader.render_to_string(f"mail/{name}.html", dict(context))
    taken = True
    for address in to:
        message = EmailMultiAlternatives(subject, text, to=[address])
        message.attach_alternative(html, "text/html")
        try:
            message.send()
        except (smtplib.SMTPException, OSError) as error:
            # What it is about is written already; who waits for the message sees that it was not sent.
            log.warning("message_not_sent", message=name, error=type(error).__name__)
            taken = False
    return taken
