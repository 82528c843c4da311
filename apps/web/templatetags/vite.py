"""Tags that put what Vite built into a page."""

from typing import Any

from django import template
from django.template.context import Context
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from apps.web import front_end

register = template.Library()


@register.simple_tag(takes_context=True)
def vite_asset(context: Context, name: str) -> SafeString:
    """The styles, the module preloads and the script of an entry, each with the nonce of the answer, by which the
    content policy knows them. Raises `FrontEndNotBuilt`.
    """
    entry = front_end.entry(name)
    nonce = _nonce(context)
    styles = format_html_join(
        "", '<link rel="stylesheet" href="{}" nonce="{}">', ((static(f), nonce) for f in entry.styles)
    )
    preloads = format_html_join(
        "", '<link rel="modulepreload" href="{}" nonce="{}">', ((static(f), nonce) for f in entry.imports)
    )
    script = format_html('<script type="module" src="{}" nonce="{}"></script>', static(entry.script), nonce)
    return mark_safe(styles + preloads + script)  # noqa: S308 - three results of format_html  # nosec B308 B703


@register.simple_tag(takes_context=True)
def vite_nonce(context: Context) -> SafeString:
    """Tells Vite's loader the nonce for what a script asks for later: chunks and their styles."""
    return format_html('<meta property="csp-nonce" nonce="{}">', _nonce(context))


def _nonce(context: Context) -> Any:
    """Of the request's answer. A page that was rendered without its request is shown bare, not open."""
    return getattr(context.get("request"), "csp_nonce", "")


@register.simple_tag
def vite_url(file: str) -> str:
    """The address of a file that Vite copies from static/src/public as it is."""
    return static(file)
