"""What browsers are told that they may do with our pages: the values of the headers, made from the configuration."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from csp.constants import NONCE, NONE, SELF

from config.schema import Configuration

PERMISSIONS_POLICY: Final = ", ".join(
    [
        *(
            f"{feature}=()"
            for feature in (
                "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture", "encrypted-media",
                "gamepad", "geolocation", "gyroscope", "hid", "idle-detection", "local-fonts", "magnetometer",
                "microphone", "midi", "payment", "picture-in-picture", "screen-wake-lock", "serial",
                "storage-access", "usb", "window-management", "xr-spatial-tracking",
            )
        ),
        *(
            f"{feature}=(self)"
            for feature in (
                "clipboard-read", "clipboard-write", "fullscreen", "publickey-credentials-create",
                "publickey-credentials-get",
            )
        ),
    ]
)  # fmt: skip
"""Nothing but what our own pages use: the clipboard, the whole screen, passkeys."""


def content_policy(configuration: Configuration) -> dict[str, Any]:
    """The directives of the Content-Security-Policy of pages (CSP level 3).

    A script or style sheet is taken by the nonce of its answer alone, not because it lies on our host; modules that it
    imports are taken with it. Nothing inline is, neither elements nor attributes. There are no frames, plug-ins,
    workers, sounds or addresses of the kinds `data:` and `blob:`. `'self'` of `connect-src` holds for our sockets too.
    """
    return {
        "default-src": [NONE],
        "script-src": [NONCE],
        "script-src-attr": [NONE],
        "style-src": [NONCE],
        "style-src-attr": [NONE],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF, *form_targets(configuration)],
        "upgrade-insecure-requests": configuration.web.https,
    }


def form_targets(configuration: Configuration) -> list[str]:
    """Origins to which a form of ours may lead: browsers hold the redirect to another site to be a part of the form."""
    oauth = configuration.oauth
    found = []
    if oauth.google.client_id:
        found.append(_origin(oauth.google.issuer))
    if oauth.github.client_id:
        found.append(_origin(oauth.github.url))
    found += [_origin(server.issuer) for server in oauth.oidc]
    return list(dict.fromkeys([*found, *configuration.web.form_targets]))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
