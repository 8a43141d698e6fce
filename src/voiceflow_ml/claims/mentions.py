"""What a sentence names: percentiles, stages, models and targets, and which of them a number is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from voiceflow_ml.claims.measures import Measure
from voiceflow_ml.claims.sentences import BARRIERS
from voiceflow_ml.claims.tokens import Kind, Token
from voiceflow_ml.hardware.targets import TARGETS
from voiceflow_ml.sla.objectives import Stage

_REACH_BEHIND = 5


@dataclass(frozen=True)
class Mention:
    """One name in a sentence.

    Attributes:
        value: what is named: ``"P99"``, a stage, a model, a target.
        first: index of its first token.
        last: index of its last.
    """

    value: str
    first: int
    last: int


ANY_GPU = "gpu"
"""What a text says that names a GPU and not which."""
# Hardware that no run of ours stands for: a claim about it must not be bound to another machine.
_ELSEWHERE = (
    "rtx gtx geforce jetson tpu npu m1 m2 m3 m4 iphone android cortex graviton snapdragon radeon gaudi inferentia"
)


def _target_aliases() -> dict[str, str]:
    aliases = {"cpu": "cpu", "cpus": "cpu", "raspberry pi": "raspberry pi"}
    aliases |= dict.fromkeys(("gpu", "gpus", "cuda"), ANY_GPU) | {name: name for name in _ELSEWHERE.split()}
    for target in TARGETS.gpus:
        aliases |= dict.fromkeys((target.name, target.gpu_name, target.device_name.lower()), target.name)
    return aliases


@dataclass(frozen=True)
class Names:
    """The names that claims can be about.

    Attributes:
        models: names of models, as results and sla.toml write them.
        targets: what people write -> name of the target.
        stages: what people write -> stage.
    """

    models: tuple[str, ...] = ()
    targets: Mapping[str, str] = field(default_factory=_target_aliases)
    stages: Mapping[str, str] = field(
        default_factory=lambda: {
            **{stage.value: stage.value for stage in Stage},
            "model latency": Stage.MODEL_INFERENCE.value,
            "inference": Stage.MODEL_INFERENCE.value,
            "e2e": Stage.END_TO_END.value,
            "round trip": Stage.END_TO_END.value,
            "server-side": Stage.SERVER_PROCESSING.value,
        }
    )


Reader = Callable[[Sequence[Token], Names], list[Mention]]

_STATISTICS = {
    "median": "P50",
    "mean": "mean",
    "average": "mean",
    "averages": "mean",
    "averaged": "mean",
    "avg": "mean",
    "max": "max",
    "maximum": "max",
    "worst case": "max",
    "outlier": "max",
    "ninety-ninth percentile": "P99",
    "ninety-fifth percentile": "P95",
}
_ORDINALS = frozenset({"th", "st", "nd", "rd", "%ile"})


def statistics(tokens: Sequence[Token]) -> list[Mention]:
    """Percentiles and other statistics, in order."""
    found = list(_named(tokens, _STATISTICS))
    for index, token in enumerate(tokens):
        if token.kind is Kind.PERCENTILE:
            found.append(Mention(f"P{float(token.text[1:]):g}", index, index))
        elif token.kind is Kind.NUMBER and index + 2 < len(tokens):
            ordinal, noun = tokens[index + 1], tokens[index + 2]
            if ordinal.lower in _ORDINALS and not ordinal.spaced and noun.lower.startswith("percentile"):
                found.append(Mention(f"P{token.value:g}", index, index + 2))
    return sorted(found, key=lambda mention: mention.first)


def stages(tokens: Sequence[Token], names: Names) -> list[Mention]:
    """Stages, in order."""
    return list(_named(tokens, names.stages))


def targets(tokens: Sequence[Token], names: Names) -> list[Mention]:
    """Targets, in order."""
    return list(_named(tokens, names.targets))


def models(tokens: Sequence[Token], names: Names) -> list[Mention]:
    """Models, in order."""
    return list(_named(tokens, {name: name for name in names.models}))


@lru_cache(maxsize=4096)
def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.lower().replace("_", " ").replace("-", " ").split())


def _named(tokens: Sequence[Token], values: Mapping[str, str]) -> Iterator[Mention]:
    """Names of one or several words, the longest at each place; hyphens, spaces and underscores are alike."""
    words = [(part, index) for index, token in enumerate(tokens) for part in _parts(token.lower)]
    # By their first word, the longest first.
    starts: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for name in sorted(values, key=lambda name: -len(_parts(name))):
        if _parts(name):
            starts.setdefault(_parts(name)[0], []).append((_parts(name), values[name]))
    place = 0
    while place < len(words):
        for parts, value in starts.get(words[place][0], ()):
            if tuple(word for word, _ in words[place : place + len(parts)]) == parts:
                yield Mention(value, words[place][1], words[place + len(parts) - 1][1])
                place += len(parts) - 1
                break
        place += 1


def nearest(tokens: Sequence[Token], mentions: Sequence[Mention], measure: Measure, others: Iterable[Measure]) -> str:
    """The name that a number is about: close behind it with nothing between, or else the last one before it.

    Returns:
        Empty when the sentence names none.
    """
    nexts = [other.lead for other in others if other.first > measure.last]
    wall = min([*nexts, measure.last + 1 + _REACH_BEHIND])
    for mention in mentions:
        between = tokens[measure.last + 1 : mention.first]
        barred = any(token.text in BARRIERS - {"("} for token in between)
        if measure.last < mention.first < wall and not barred:
            return mention.value
    before = [mention for mention in mentions if mention.last < measure.first]
    if before:
        return before[-1].value
    return mentions[0].value if len({mention.value for mention in mentions}) == 1 else ""
