"""Comments that bind claims: ``<!-- claim: fast-cnn model-inference cpu p99 -->`` and its kin.

* ``claim: MODEL STAGE TARGET STATISTIC``, any of them, in any order: the objective that a number is about.
* ``claim: results FILE#/pointer, FILE#/pointer``: one value of a committed JSON file for each number, in their order.
* ``claim: results FILE``: each number must be one of the values in that file; ``FILE in ns`` says the unit of values
  whose keys say none.
* ``claim: none REASON``: the numbers promise nothing, and why.

A comment behind numbers is about those of its paragraph, item or row since the comment before it. One on a line of its
own is about the next paragraph, list or table; ``claim: section ...`` about everything up to the next heading, ``claim:
page ...`` about the whole document.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from voiceflow_ml.claims.claim import Claim
from voiceflow_ml.claims.mentions import Names
from voiceflow_ml.claims.passages import Comment, Document
from voiceflow_ml.sla.objectives import STATISTICS, Stage

_KEY = "claim:"
_NONE, _RESULTS = "none", "results"
_FORMS = "write claim: none REASON, claim: results FILE.json#/pointer, or claim: MODEL STAGE TARGET STATISTIC"


class Scope(StrEnum):
    """What a comment is about; the nearer one wins."""

    INLINE = "inline"
    BLOCK = "block"
    SECTION = "section"
    PAGE = "page"


@dataclass(frozen=True)
class Directive:
    """A comment, understood.

    Attributes:
        scope: what it is about.
        comment: where it stands.
        reason: of ``none``, why; else empty.
        pointers: of ``results``, each a file, or a file, ``#`` and a JSON pointer.
        model, stage, target, statistic: of an objective; empty where it does not say.
        problem: what is wrong with it; empty when nothing is.
    """

    scope: Scope
    comment: Comment
    reason: str = ""
    pointers: tuple[str, ...] = ()
    model: str = ""
    stage: str = ""
    target: str = ""
    statistic: str = ""
    problem: str = ""


def read_directives(document: Document, names: Names) -> tuple[Directive, ...]:
    """The comments of a document that are about claims, in order.

    Args:
        document: the document, read.
        names: the models and targets that there are.
    """
    found = []
    for comment in document.comments:
        text = " ".join(comment.text.split())
        if text.startswith(_KEY):
            found.append(_read(comment, text.removeprefix(_KEY).split(), names))
    return tuple(found)


def _read(comment: Comment, words: Sequence[str], names: Names) -> Directive:
    scope = Scope.INLINE if comment.line else Scope.BLOCK
    if words and words[0] in (Scope.SECTION, Scope.PAGE):
        scope, words = Scope(words[0]), words[1:]
    if not words:
        return Directive(scope, comment, problem=f"the comment binds nothing: {_FORMS}")
    if words[0] == _NONE:
        reason = " ".join(words[1:])
        problem = "" if reason else "claim: none gives no reason: say why the number promises nothing"
        return Directive(scope, comment, reason=reason, problem=problem)
    if words[0] == _RESULTS:
        pointers = tuple(part.strip() for part in " ".join(words[1:]).split(",") if part.strip())
        problem = "" if pointers else "claim: results names no file: write claim: results FILE.json#/pointer"
        return Directive(scope, comment, pointers=pointers, problem=problem)
    return _objective(scope, comment, words, names)


def _objective(scope: Scope, comment: Comment, words: Sequence[str], names: Names) -> Directive:
    statistics = {name: f"P{round(quantile * 100, 6):g}" for name, quantile in STATISTICS.items()}
    known = {
        "stage": {stage.value: stage.value for stage in Stage},
        "target": {**{target: target for target in names.targets.values()}, **names.targets},
        "model": {model.lower(): model for model in names.models},
        "statistic": {**statistics, **{name: name for name in ("mean", "max")}},
    }
    said: dict[str, str] = {}
    for word in words:
        kind = next((kind for kind, values in known.items() if word.lower() in values), None)
        if kind is None:
            models = ", ".join(names.models) or "none is known"
            stages = ", ".join(Stage)
            return Directive(
                scope,
                comment,
                problem=f"{word!r} is no stage ({stages}), target, statistic or model ({models}); {_FORMS}",
            )
        said[kind] = known[kind][word.lower()]
    return Directive(
        scope,
        comment,
        model=said.get("model", ""),
        stage=said.get("stage", ""),
        target=said.get("target", ""),
        statistic=said.get("statistic", ""),
    )


@dataclass(frozen=True)
class Bound:
    """A claim and the comment that is about it.

    Attributes:
        claim: the claim.
        directive: the nearest comment about it; None for none.
        position: which of the claims of that comment it is, from 0.
        of: how many that comment is about.
    """

    claim: Claim
    directive: Directive | None
    position: int = 0
    of: int = 1


def bind(claims: Sequence[Claim], directives: Iterable[Directive], document: Document) -> tuple[Bound, ...]:
    """Give each claim the nearest comment that is about it.

    Args:
        claims: the claims of a document, in order.
        directives: its comments, in order.
        document: the document.
    """
    sections = sorted({passage.tokens[0].start for passage in document.passages if passage.heading})
    chosen: dict[int, Directive] = {}
    # From the widest to the nearest: the nearer overwrites.
    for scope in reversed(Scope):
        for directive in (entry for entry in directives if entry.scope is scope):
            for index in _about(directive, claims, chosen, sections):
                chosen[index] = directive
    members: dict[int, list[int]] = {}
    for index, directive in sorted(chosen.items()):
        members.setdefault(directive.comment.start, []).append(index)
    return tuple(_bound(claim, chosen.get(index), members, index) for index, claim in enumerate(claims))


def _bound(claim: Claim, directive: Directive | None, members: dict[int, list[int]], index: int) -> Bound:
    if directive is None:
        return Bound(claim, None)
    group = members[directive.comment.start]
    return Bound(claim, directive, group.index(index), len(group))


def _about(
    directive: Directive, claims: Sequence[Claim], chosen: dict[int, Directive], sections: Sequence[int]
) -> list[int]:
    start = directive.comment.start
    if directive.scope is Scope.PAGE:
        return list(range(len(claims)))
    if directive.scope is Scope.SECTION:
        end = next((section for section in sections if section > start), None)
        return [i for i, claim in enumerate(claims) if claim.start > start and (end is None or claim.start < end)]
    if directive.scope is Scope.BLOCK:
        return [i for i, claim in enumerate(claims) if claim.block == directive.comment.block and claim.start > start]
    here = [
        i
        for i, claim in enumerate(claims)
        if (claim.block, claim.passage_line) == (directive.comment.block, directive.comment.line)
    ]
    taken = {i for i, other in chosen.items() if other.scope is Scope.INLINE and other is not directive}
    before = [i for i in here if claims[i].start < start and i not in taken]
    return before or [i for i in here if claims[i].start > start]
