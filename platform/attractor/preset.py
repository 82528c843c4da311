"""Presets: a graph with its controls, actions, limits and acceptance check (schema v2)."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attractor.errors import GraphRejected, Problem
from attractor.graph import Finite, GraphSpec, Reference
from attractor.parameter import ParameterRefused
from attractor.registry import Registry


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Control(_Part):
    """A widget that sets a live parameter."""

    label: str
    target: Reference
    widget: Literal["slider", "switch", "select"] = "slider"
    min: Finite | None = None
    max: Finite | None = None
    step: Finite | None = None
    options: tuple[float | int | str, ...] = ()
    help: str = ""


class Action(_Part):
    """A button that fires a trigger input."""

    label: str
    node: str
    trigger: str
    help: str = ""


class Limits(_Part):
    """What a run of the preset takes: engine tier, memory, device, and how many ticks it is meant to last."""

    tier: Literal["eager"] = "eager"
    memory: Annotated[int, Field(gt=0, description="MiB")] = 1024
    device: Literal["cpu", "cuda", "any"] = "any"
    ticks: Annotated[int, Field(gt=0)] = 1000


class Preset(_Part):
    """A preset document."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    version: Annotated[int, Field(ge=1)]
    title: Annotated[str, Field(min_length=1, max_length=120)]
    category: str
    tags: tuple[str, ...] = ()
    summary: str
    description: str = ""
    graph: GraphSpec
    controls: tuple[Control, ...] = ()
    actions: tuple[Action, ...] = ()
    acceptance: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    limits: Limits = Limits()
    notice: str = ""

    @classmethod
    def load(cls, path: Path | str) -> Preset:
        """The preset in a JSON file.

        Raises:
            GraphRejected: the file is not a preset; every fault is listed with its place.
            OSError: the file cannot be read.
        """
        try:
            document = json.loads(Path(path).read_text("utf-8"))
        except json.JSONDecodeError as error:
            raise GraphRejected(
                [Problem(f"{path}:{error.lineno}", f"is not JSON: {error.msg}.", "Correct it.")]
            ) from error
        except (ValueError, RecursionError) as error:  # Not UTF-8, a number of thousands of digits, or too deep.
            raise GraphRejected([Problem(str(path), f"is not JSON: {error}.", "Correct it.")]) from error
        return cls.parse(document)

    @classmethod
    def parse(cls, document: Any) -> Preset:
        """The preset in a JSON document. Raises `GraphRejected` as `load` does."""
        problems: list[Problem] = []
        if isinstance(document, dict) and "graph" in document:
            try:
                GraphSpec.parse(document["graph"])
            except GraphRejected as rejected:
                problems += rejected.problems
        try:
            preset = cls.model_validate(document)
        except ValidationError as error:
            # The faults of the graph have been said, with the places of a graph.
            problems += [
                Problem(".".join(map(str, fault["loc"])) or "preset", f"{fault['msg']}.", "Correct the value.")
                for fault in error.errors()
                if not problems or fault["loc"][:1] != ("graph",)
            ]
        if problems:
            raise GraphRejected(problems)
        return preset

    def problems(self, registry: Registry | None = None) -> list[Problem]:
        """Everything wrong with the preset: its graph, and controls or actions whose target does not fit."""
        from attractor.graph_check import check

        registry = registry or Registry.default()
        problems = check(self.graph, registry)
        kinds = {node.id: registry.get(node.kind) for node in self.graph.nodes}
        for i, control in enumerate(self.controls):
            node, name = control.target.split(".")
            cls = kinds.get(node)
            parameter = cls.parameter(name) if cls else None
            place = f"controls[{i}]"
            if parameter is None or not parameter.live:
                problems.append(Problem(place, f"{control.target} is not a live parameter.", "Choose one that is."))
                continue
            for end in (control.min, control.max, *control.options):
                try:
                    if end is not None:
                        parameter.validate(end)
                except ParameterRefused as refused:
                    problems.append(Problem(place, f"{control.target} cannot be set to it: {refused}", refused.mend))
            if control.min is not None and control.max is not None and control.min >= control.max:
                problems.append(Problem(place, "the control has no way to go.", "Make `max` greater than `min`."))
            if control.step is not None and control.step <= 0:
                problems.append(Problem(place, "the step is not positive.", "Give a step above 0."))
        for i, action in enumerate(self.actions):
            cls = kinds.get(action.node)
            port = cls.port(action.trigger, cls.inputs) if cls else None
            if port is None or port.kind != "trigger":
                problems.append(
                    Problem(f"actions[{i}]", f"{action.node}.{action.trigger} is no trigger input.", "Name one.")
                )
        return problems

    def acceptance_check(self) -> Callable[..., dict[str, Any]]:
        """The function that judges the preset: ``accept(tier, seed, progress) -> dict`` with at least ``passed``.

        Raises:
            LookupError: the preset names none, or names one that does not exist.
        """
        if self.acceptance is None:
            raise LookupError(f"the preset {self.id!r} has no acceptance check")
        module, _, name = self.acceptance.partition(":")
        try:
            function: Callable[..., dict[str, Any]] = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise LookupError(
                f"the acceptance check {self.acceptance!r} of {self.id!r} cannot be loaded: {error}"
            ) from error
        return function
