"""Mails to people: text, and the same as HTML."""

from __future__ import annotations

from smtplib import SMTPException
from typing import Any

import structlog
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string

log = structlog.get_logger(__name__)


def mail(to: str, subject: str, text: str, headers: dict[str, str] | None = None) -> EmailMultiAlternatives:
    """A mail in both forms: the HTML is made from the text, so that neither says more than the other."""
    message = EmailMultiAlternatives(" ".join(subject.split()), text, None, [to], headers=headers)
    message.attach_alternative(as_html(subject, text), "text/html")
    return message


def as_html(subject: str, text: str) -> str:
    """A text with its paragraphs and links as an HTML document without pictures or scripts."""
    paragraphs = [part.strip() for part in text.split("\n\n") if part.strip()]
    return render_to_string("mail/message.html", {"subject": subject, "paragraphs": paragraphs})


def post(template: str, to: str, subject: str, context: dict[str, Any]) -> None:
    """Send `templates/mail/<template>.txt` once what is being written is committed, and not at all if it is not.

    A server of mail that is away is logged and holds up nothing: what the mail tells is done already.
    """
    text = render_to_string(f"mail/{template}.txt", context).strip() + "\n"

    def send() -> None:
        try:
            mail(to, subject, text).send()
        except (SMTPException, OSError):
            log.exception("mail_not_sent", template=template)

    transaction.on_commit(send)
