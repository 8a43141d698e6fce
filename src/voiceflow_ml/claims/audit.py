"""The audit: documents in, judgements and remarks out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path

from voiceflow_ml.claims.basis import Court, Judgement, relative
from voiceflow_ml.claims.blocks import Block, BlockWriter, find_blocks
from voiceflow_ml.claims.claim import Claim
from voiceflow_ml.claims.directives import Bound, Directive, bind, read_directives
from voiceflow_ml.claims.evidence import read_evidence
from voiceflow_ml.claims.find import find_claims
from voiceflow_ml.claims.judging import Status
from voiceflow_ml.claims.mentions import Names
from voiceflow_ml.claims.passages import Document, read_document
from voiceflow_ml.claims.settings import ClaimsSettings
from voiceflow_ml.claims.terms import Remark, audit_terms
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.sla.load import load_sla

FAILING = (Status.REFUTED, Status.STALE)


@dataclass(frozen=True)
class Finding:
    """What an audit found in one document.

    Attributes:
        path: the document, from the root folder.
        judgements: its claims, in order.
        remarks: what else is to be put right.
    """

    path: str
    judgements: tuple[Judgement, ...]
    remarks: tuple[Remark, ...]


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        findings: one for each document, in order.
        problems: results that could not be read.
        strict: whether UNVERIFIED and remarks fail.
    """

    findings: tuple[Finding, ...]
    problems: tuple[str, ...] = ()
    strict: bool = False

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """All claims."""
        return tuple(judgement for finding in self.findings for judgement in finding.judgements)

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """All remarks."""
        return tuple(remark for finding in self.findings for remark in finding.remarks)

    def fails(self, status: Status) -> bool:
        """Whether a claim of this status fails this audit."""
        return status in FAILING or (self.strict and status is Status.UNVERIFIED)

    @property
    def failed(self) -> bool:
        """Whether anything in it fails."""
        claims = any(self.fails(judgement.status) for judgement in self.judgements)
        return claims or any(remark.fails or self.strict for remark in self.remarks)


class Auditor:
    """Audits documents against one project's results.

    Raises:
        ConfigError: the file of promises cannot be read.
    """

    def __init__(self, settings: ClaimsSettings, now: datetime) -> None:
        path = settings.root / settings.sla
        sla = load_sla(path) if path.is_file() else None
        evidence, self.problems = read_evidence(settings.root / folder for folder in settings.results)
        models = dict.fromkeys([*(sla.models if sla else ()), *(entry.model for entry in evidence)])
        self.settings = settings
        self.names = Names(models=tuple(models))
        self.court = Court(settings, evidence, sla, now)
        self.blocks = BlockWriter(settings, evidence)

    def audit(self, paths: Sequence[Path]) -> Audit:
        """Audit documents, and those in folders.

        Raises:
            ConfigError: a path that is not there, a document that is no text, or marks of blocks that do not fit.
        """
        documents = documents_in(paths, self.settings)
        return Audit(tuple(map(self.audit_file, documents)), self.problems, self.settings.strict)

    def audit_file(self, path: Path) -> Finding:
        """Audit one document; errors as :meth:`audit`."""
        return self.audit_text(read_text(path), relative(path, self.settings.root))

    def audit_text(self, text: str, name: str) -> Finding:
        """Audit the text of a document.

        Args:
            text: the document.
            name: what to call it.

        Raises:
            ConfigError: marks of blocks that do not fit.
        """
        document = read_document(text)
        blocks = find_blocks(document, name)
        written, loose = _parted(find_claims(document, name, self.names), blocks)
        directives = read_directives(document, self.names)
        bounds = bind(loose, directives, document)
        judgements = [*map(self.court.judge, bounds), *self._of_blocks(written, document)]
        remarks = [*audit_terms(bounds, document, self.names), *_bad_comments(name, document, directives)]
        remarks += _unused(name, document, bounds, directives)
        return Finding(
            name,
            tuple(sorted(judgements, key=lambda judgement: judgement.claim.start)),
            tuple(sorted(remarks, key=lambda remark: (remark.line, remark.column))),
        )

    def _of_blocks(self, written: Iterable[tuple[Claim, Block]], document: Document) -> Iterator[Judgement]:
        """A claim in a marked block is what results say, as long as the block is what they render to."""
        for claim, block in written:
            content = document.text[block.start : block.end].replace("\r\n", "\n").strip()
            if content == self.blocks.rendered(block.name):
                yield Judgement(claim, Status.CONFIRMED, "written from results", block.name)
            else:
                sentence = f"the block {block.name} is not what its results say now: run voiceflow claims write"
                yield Judgement(claim, Status.STALE, sentence, block.name)


def read_text(path: Path) -> str:
    """A document as it stands, line ends included.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8 text.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return stream.read()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}") from None


def documents_in(paths: Sequence[Path], settings: ClaimsSettings) -> tuple[Path, ...]:
    """The documents at some paths: files as they are, folders with all ``*.md`` below them but the excluded.

    Raises:
        ConfigError: nothing is there.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path} is not there; give Markdown files, or folders of them")
        inside = sorted(path.rglob("*.md")) if path.is_dir() else [path]
        for document in inside:
            name = relative(document, settings.root)
            if not any(fnmatch(name, pattern) for pattern in settings.exclude):
                found[document] = None
    return tuple(found)


def _parted(claims: Iterable[Claim], blocks: Sequence[Block]) -> tuple[list[tuple[Claim, Block]], list[Claim]]:
    written: list[tuple[Claim, Block]] = []
    loose: list[Claim] = []
    for claim in claims:
        block = next((block for block in blocks if block.start <= claim.start < block.end), None)
        if block is None:
            loose.append(claim)
        else:
            written.append((claim, block))
    return written, loose


def _bad_comments(name: str, document: Document, directives: Iterable[Directive]) -> Iterator[Remark]:
    for directive in directives:
        if directive.problem:
            line, column = document.places.line_and_column(directive.comment.start)
            yield Remark(name, line, column, directive.problem, fails=True)


def _unused(
    name: str, document: Document, bounds: Sequence[Bound], directives: Iterable[Directive]
) -> Iterator[Remark]:
    """A comment that is about no number has lost it: the number changed its form, or was never one."""
    used = {bound.directive.comment.start for bound in bounds if bound.directive is not None}
    for directive in directives:
        if not directive.problem and directive.comment.start not in used:
            line, column = document.places.line_and_column(directive.comment.start)
            yield Remark(name, line, column, "the comment is about no number that is found here: remove it, or move it")
