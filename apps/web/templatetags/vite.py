"""Tags that put what Vite built into a page."""

from django import template
from django.templatetags.static import static
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from apps.web import front_end

register = template.Library()


@register.simple_tag
def vite_asset(name: str) -> SafeString:
    """The styles, the module preloads and the script of an entry. Raises `FrontEndNotBuilt`."""
    entry = front_end.entry(name)
    styles = format_html_join("", '<link rel="stylesheet" href="{}">', ((static(f),) for f in entry.styles))
    preloads = format_html_join("", '<link rel="modulepreload" href="{}">', ((static(f),) for f in entry.imports))
    script = format_html_join("", '<script type="module" src="{}"></script>', ((static(entry.script),),))
    return mark_safe(styles + preloads + script)  # noqa: S308 - three results of format_html


@register.simple_tag
def vite_url(file: str) -> str:
    """The address of a file that Vite copies from static/src/public as it is."""
    return static(file)
