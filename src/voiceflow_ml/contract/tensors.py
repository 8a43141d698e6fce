"""What changed in the inputs and outputs of a model, and how much it matters; the rules are in ``diff``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from voiceflow_ml.contract.schema import Contract, Tensor

Found = tuple[str, str]
"""(level, reason)."""
MOST_OF_PROBLEMS = 1_000
"""Characters of all problems of a model together: its names stand in them, which may be of any length."""


def tensor_changes(old: Contract, new: Contract) -> Iterator[Found]:
    """Every change of an input or an output.

    Yields:
        ``("patch" | "minor" | "major", reason)``.
    """
    yield from _listed("input", old.inputs, new.inputs)
    yield from _listed("output", old.outputs, new.outputs)
    yield from _ties(old, new)


def _listed(kind: str, old: tuple[Tensor, ...], new: tuple[Tensor, ...]) -> Iterator[Found]:
    before, after = ({tensor.name: tensor for tensor in tensors} for tensors in (old, new))
    gone = [tensor for tensor in old if tensor.name not in after]
    added = [tensor for tensor in new if tensor.name not in before]
    renamed = _renames(old, new, gone, added)
    for source, target in renamed:
        yield "major", f"{kind} {source.name!r} is called {target.name!r} now: callers bind it by name"
    for tensor in gone:
        if all(tensor is not source for source, _ in renamed):
            yield "major", f"{kind} {tensor.name!r} is gone"
    for tensor in added:
        if all(tensor is not target for _, target in renamed):
            yield _added(kind, tensor)
    yield from _order(kind, old, new, renamed)
    for tensor in new:
        if tensor.name in before:
            yield from _one(kind, before[tensor.name], tensor)


def _renames(
    old: tuple[Tensor, ...], new: tuple[Tensor, ...], gone: list[Tensor], added: list[Tensor]
) -> list[tuple[Tensor, Tensor]]:
    """Tensors that stand where another of their type stood; a guess that only words the message."""
    return [
        (source, target)
        for source in gone
        for target in added
        if old.index(source) == new.index(target) and (source.dtype, source.axes) == (target.dtype, target.axes)
    ]


def _added(kind: str, tensor: Tensor) -> Found:
    if kind == "output":
        return "minor", f"output {tensor.name!r} is new"
    if tensor.optional:
        return "minor", f"optional input {tensor.name!r} is new"
    return "major", f"input {tensor.name!r} is new and required"


def _order(
    kind: str, old: tuple[Tensor, ...], new: tuple[Tensor, ...], renamed: list[tuple[Tensor, Tensor]]
) -> Iterator[Found]:
    names = {target.name: source.name for source, target in renamed}
    after = [names.get(tensor.name, tensor.name) for tensor in new]
    kept = [tensor.name for tensor in old if tensor.name in after]
    # What is new must stand behind all that was there: some runtimes bind by position.
    if after[: len(kept)] != kept:
        yield "major", f"{kind}s come as {[tensor.name for tensor in new]}, came as {[tensor.name for tensor in old]}"


def _one(kind: str, old: Tensor, new: Tensor) -> Iterator[Found]:
    label = f"{kind} {new.name!r}"
    if old.dtype != new.dtype:
        yield "major", f"{label} is {new.dtype}, was {old.dtype}"
    if old.optional != new.optional:
        level = "minor" if new.optional else "major"
        yield level, f"{label} is {'optional' if new.optional else 'required'} now"
    if len(old.axes) != len(new.axes):
        yield "major", f"{label} has {len(new.axes)} axes, had {len(old.axes)}"
        return
    for position, (before, after) in enumerate(zip(old.axes, new.axes, strict=True)):
        if before != after:
            yield _axis(kind, f"axis {position} of {label}", before, after)


def _axis(kind: str, label: str, before: int | str, after: int | str) -> Found:
    if isinstance(before, str) and isinstance(after, str):
        return "patch", f"{label} is named {after!r}, was {before!r}"
    if isinstance(before, int) and isinstance(after, int):
        return "major", f"{label} is {after}, was {before}"
    fixed_now = isinstance(after, int)
    words = f"is fixed to {after}, was dynamic ({before})" if fixed_now else f"is dynamic ({after}), was {before}"
    # An input that takes less, or an output that may be more, breaks who relied on it.
    return "major" if fixed_now == (kind == "input") else "minor", f"{label} {words}"


def _ties(old: Contract, new: Contract) -> Iterator[Found]:
    before, after = (_equal_axes(contract.inputs) for contract in (old, new))
    known = _places(old.inputs) & _places(new.inputs)
    for one, other in sorted(after - before):
        if {one, other} <= known:
            yield "major", f"{_place(one)} and {_place(other)} must be of one size now"
    for one, other in sorted(before - after):
        if {one, other} <= known:
            yield "minor", f"{_place(one)} and {_place(other)} may differ in size now"


Place = tuple[str, int]


def _places(tensors: tuple[Tensor, ...]) -> set[Place]:
    """Every dynamic axis as (tensor, position)."""
    return {
        (tensor.name, position)
        for tensor in tensors
        for position, axis in enumerate(tensor.axes)
        if isinstance(axis, str) and axis
    }


def _equal_axes(tensors: tuple[Tensor, ...]) -> set[tuple[Place, Place]]:
    names = {
        (tensor.name, position): tensor.axes[position] for tensor in tensors for position in range(len(tensor.axes))
    }
    return {(one, other) for one, other in combinations(sorted(_places(tensors)), 2) if names[one] == names[other]}


def _place(place: Place) -> str:
    return f"axis {place[1]} of input {place[0]!r}"
