"""Values of edges that are neither tensors nor JSON, such as an energy model: objects that are made of named parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, Self

_CLASSES: Final[dict[str, type[Composed]]] = {}


class Composed(ABC):
    """Immutable. Result hashes and checkpoints see its parts, never the object.

    Attributes:
        composition: name of the class in checkpoints; every class that is not abstract has one of its own.
    """

    composition: ClassVar[str]

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "composition" in vars(cls):
            other = _CLASSES.setdefault(cls.composition, cls)
            if other is not cls:
                raise TypeError(f"the composition {cls.composition!r} belongs to {other!r} already")

    @abstractmethod
    def parts(self) -> Iterator[tuple[str, Any]]:
        """Everything the object is made of, by name: tensors, integer arrays of numpy, numbers, texts."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """What a frame or a result shows of the object, JSON-able."""

    @classmethod
    @abstractmethod
    def of_parts(cls, parts: Mapping[str, Any]) -> Self:
        """The object that has these `parts`."""


def composed(composition: str) -> type[Composed] | None:
    """The class of that name, or None when nothing that was imported has it."""
    return _CLASSES.get(composition)
