"""What stands in the way of compiling a node."""

from __future__ import annotations

from attractor.errors import AttractorError


class Untraceable(AttractorError):
    """A node does something that a compiled program cannot do; the message says what. `node` is the one."""

    code = "untraceable"

    def __init__(self, reason: str, node: str = "") -> None:
        self.reason = reason
        self.node = node
        super().__init__(reason)


class TooLarge(Untraceable):
    """A region has more operations than are compiled as one program."""
