"""What a test hands over to be measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voiceflow_ml.errors import ConfigError

if TYPE_CHECKING:
    from voiceflow_ml.sla.objectives import ModelSpec

_FORM = "return (model_or_callable, *inputs), or the callable alone"


@dataclass(frozen=True)
class Handover:
    """A call, not yet made.

    Attributes:
        function: what is timed: a model that proves where it runs, or any callable.
        arguments: its arguments.
        inputs: what they are, in a phrase for the report.
        declared_sha256: the model file that was promised; empty when any will do.
        cold_arguments: arguments of other shapes, whose first call is timed apart, by what they are.
        spec: the table that declares the arguments, where another machine is to make them.
    """

    function: Callable[..., object]
    arguments: tuple[object, ...]
    inputs: str
    declared_sha256: str = ""
    cold_arguments: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    spec: ModelSpec | None = None


def handover_of(returned: object) -> Handover:
    """What a ``prepare`` function returned, as a handover.

    Raises:
        ConfigError: neither a callable nor a tuple that begins with one.
    """
    if isinstance(returned, Handover):
        return returned
    function, *arguments = returned if isinstance(returned, tuple) and returned else (returned,)
    if not callable(function):
        raise ConfigError(f"prepare returned {returned!r}, which cannot be called; {_FORM}")
    return Handover(function, tuple(arguments), describe_inputs(arguments))


def describe_inputs(arguments: list[object] | tuple[object, ...], phrase: str = "as the test gave them") -> str:
    """``"speech.wav, first 3 s: float32 [1, 48000]"``."""
    shapes = ", ".join(_describe(value) for value in arguments) or "none"
    return f"{phrase}: {shapes}"


def _describe(value: object) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return f"{dtype} {list(shape)}" if shape is not None else type(value).__name__
