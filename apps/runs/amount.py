"""Amounts of what runs use, written for people."""


def written(value: float, unit: str) -> str:
    """As a page says it: `1.5 GiB` of bytes, `2.5 h` of seconds, three digits of floating-point operations."""
    if unit == "bytes":
        for name in ("bytes", "KiB", "MiB", "GiB"):
            if value < 1024:
                return f"{value:.4g} {name}"
            value /= 1024
        return f"{value:.4g} TiB"
    if unit == "seconds":
        return f"{value / 3600:.4g} h" if value >= 3600 else f"{value:.0f} s"
    return f"{value:.3g} operations" if unit == "operations" else f"{value:g} {unit}"
