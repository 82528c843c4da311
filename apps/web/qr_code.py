"""QR codes as SVG: no picture to load, nothing that the content security policy would have to allow."""

from dataclasses import dataclass

import qrcode

QUIET = 4
"""Modules of white around the code that readers need (ISO/IEC 18004, section 5.3.8)."""


@dataclass(frozen=True, slots=True)
class QrCode:
    """The side of the square in modules, and the dark modules as the path of an SVG."""

    side: int
    path: str


def draw(text: str) -> QrCode:
    """The code of a text, readable with 15 % of it hidden."""
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=QUIET)
    code.add_data(text)
    rows = code.get_matrix()
    path = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark)
    return QrCode(len(rows), path)
