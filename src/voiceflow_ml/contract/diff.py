"""How far apart are two contracts: none, patch, minor or major, with the reason of each change.

ONNX's text on versioning leaves open what renames, axes and semantics mean for a caller. Settled here:

* **major**: something that worked may stop working, or mean something else. Removing, renaming or reordering a
  tensor (callers bind by name, and several runtimes by position), another dtype, rank or fixed size; an input axis
  that was dynamic and is fixed now; an output axis that was fixed and is dynamic now; two input axes that must be
  equal now; sample rate, hop, classes, pre- and post-processing; a promise that is weaker or gone; the licence.
* **minor**: all that worked still does, and there is more, or a newer runtime is needed. An output or an optional
  input at the end; an input axis that is dynamic now; an output axis that is fixed now; opset and file format
  raised; another window length (any length is taken); a promise that is new or tighter.
* **patch**: the same calls, other numbers or other words. Weights and graph, names of axes, notes, golden pairs,
  the list of training data, opset lowered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from voiceflow_ml.contract.schema import Contract, Promise
from voiceflow_ml.contract.tensors import tensor_changes
from voiceflow_ml.errors import ConfigError


class Level(IntEnum):
    """How much a change asks of the next version, in order."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3

    def __str__(self) -> str:
        return self.name.lower()


def parse_level(name: str) -> Level:
    """Look up a level by name.

    Raises:
        ConfigError: not one of the four; the message lists them.
    """
    try:
        return Level[name.upper()]
    except KeyError:
        raise ConfigError(f"unknown level {name!r}; the levels are: {', '.join(map(str, Level))}") from None


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        level: what it asks of the next version.
        reason: what changed, and for whom it matters.
    """

    level: Level
    reason: str


@dataclass(frozen=True)
class ContractDiff:
    """All differences, the gravest first; none when nothing changed."""

    changes: tuple[Change, ...]

    @property
    def level(self) -> Level:
        """The gravest."""
        return max((change.level for change in self.changes), default=Level.NONE)


def diff(old: Contract, new: Contract) -> ContractDiff:
    """Compare two contracts.

    Args:
        old: what callers know.
        new: what is to take its place.
    """
    found = [
        *(Change(parse_level(level), reason) for level, reason in tensor_changes(old, new)),
        *_semantics(old, new),
        *_runtime(old, new),
        *_promises(old.sla, new.sla),
        *_words(old, new),
    ]
    return ContractDiff(tuple(sorted(found, key=lambda change: -change.level)))


def _semantics(old: Contract, new: Contract) -> Iterator[Change]:
    if old.model != new.model:
        yield Change(Level.MAJOR, f"the model is called {new.model!r}, was {old.model!r}")
    yield from _signal(old, new)
    if len(old.classes) != len(new.classes):
        yield Change(Level.MAJOR, f"{len(new.classes)} classes, were {len(old.classes)}")
    elif old.classes != new.classes:
        yield Change(Level.MAJOR, f"the classes mean {list(new.classes)}, meant {list(old.classes)}")
    for name in ("preprocessing", "postprocessing"):
        if getattr(old, name) != getattr(new, name):
            yield Change(Level.MAJOR, f"{name} is {list(getattr(new, name))}, was {list(getattr(old, name))}")


def _signal(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = old.signal, new.signal
    if before is None or after is None:
        if before is not after:
            what = "the signal is not described any more" if after is None else "the signal is described now"
            yield Change(Level.MAJOR if after is None else Level.MINOR, what)
        return
    if before.sample_rate_hz != after.sample_rate_hz:
        yield Change(Level.MAJOR, f"sample rate is {after.sample_rate_hz} Hz, was {before.sample_rate_hz} Hz")
    if before.frame_samples != after.frame_samples:
        rates = f"({after.frame_rate_hz:g} frames/s, were {before.frame_rate_hz:g})"
        yield Change(Level.MAJOR, f"hop is {after.frame_samples} samples, was {before.frame_samples} {rates}")
    if before.window_samples != after.window_samples:
        yield Change(Level.MINOR, f"trained on {after.window_samples} samples, was {before.window_samples}")


def _runtime(old: Contract, new: Contract) -> Iterator[Change]:
    for domain in sorted({*old.opset, *new.opset}):
        name = domain or "ai.onnx"
        before, after = old.opset.get(domain), new.opset.get(domain)
        if before is None:
            yield Change(Level.MINOR, f"needs operators of {name} (version {after})")
        elif after is None:
            yield Change(Level.PATCH, f"needs no operators of {name} any more")
        elif before != after:
            level = Level.MINOR if after > before else Level.PATCH
            yield Change(level, f"opset of {name} is {after}, was {before}")
    if old.ir_version != new.ir_version:
        level = Level.MINOR if new.ir_version > old.ir_version else Level.PATCH
        yield Change(level, f"file format (IR) is {new.ir_version}, was {old.ir_version}")


def _promises(old: tuple[Promise, ...], new: tuple[Promise, ...]) -> Iterator[Change]:
    before, after = (
        {(entry.stage, entry.target, entry.statistic): entry.limit_ns for entry in sla} for sla in (old, new)
    )
    for key in sorted({*before, *after}):
        label = " · ".join(key)
        if key not in after:
            yield Change(Level.MAJOR, f"{label} is not promised any more")
        elif key not in before:
            yield Change(Level.MINOR, f"{label} is promised now")
        elif after[key] != before[key]:
            level = Level.MAJOR if after[key] > before[key] else Level.MINOR
            yield Change(level, f"{label} is promised within {after[key]} ns, was {before[key]} ns")


def _words(old: Contract, new: Contract) -> Iterator[Change]:
    if old.licence != new.licence:
        yield Change(Level.MAJOR, f"the licence is {new.licence!r}, was {old.licence!r}")
    if old.computation_sha256 != new.computation_sha256:
        yield Change(Level.PATCH, "graph or weights differ: the same calls give other numbers")
    if old.golden != new.golden:
        yield Change(Level.PATCH, "golden pairs or their tolerances differ")
    if old.training_data != new.training_data:
        yield Change(Level.PATCH, "the training data is described differently")
    meanings = {tensor.name: tensor.meaning for tensor in (*old.inputs, *old.outputs)}
    for tensor in (*new.inputs, *new.outputs):
        if meanings.get(tensor.name, tensor.meaning) != tensor.meaning:
            yield Change(Level.PATCH, f"{tensor.name} is described differently")
