"""What an audit found, as lines for people, as annotations for a pull request, and as a ledger on disk."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from voiceflow_ml.claims.audit import Audit
from voiceflow_ml.claims.basis import Judgement, said_text
from voiceflow_ml.claims.judging import Status
from voiceflow_ml.reporting.annotations import Note, note_lines
from voiceflow_ml.reporting.text import one_line
from voiceflow_ml.results.store import write_atomically

SCHEMA_VERSION = 1
_QUIET = (Status.CONFIRMED, Status.NO_PROMISE)
_WORST_FIRST = (Status.REFUTED, Status.STALE, Status.UNVERIFIED, Status.TOO_MODEST, Status.CONFIRMED, Status.NO_PROMISE)
_WIDTH = max(map(len, Status))


def audit_lines(audit: Audit, *, everything: bool = False) -> list[str]:
    """One line for each claim that is not confirmed, worst first, then remarks, then the whole in one line.

    Args:
        audit: what was found.
        everything: the confirmed ones, too.
    """
    shown = sorted(audit.judgements, key=lambda judgement: _WORST_FIRST.index(judgement.status))
    lines = [judgement_line(entry) for entry in shown if everything or entry.status not in _QUIET]
    lines += [_row("WORDS", f"{remark.where}: {remark.message}") for remark in audit.remarks]
    return [*lines, *map(one_line, audit.problems), headline(audit)]


def judgement_line(judgement: Judgement) -> str:
    """``REFUTED  README.md:12:7  "4.48ms"  the text says P99 4.48 ms, results say 9.02 ms [...]``."""
    claim, basis = judgement.claim, f" [{judgement.basis}]" if judgement.basis else ""
    return _row(judgement.status, f'{claim.where} "{claim.text}": {judgement.sentence}{basis}')


def _row(word: str, rest: str) -> str:
    return f"{word:<{_WIDTH}}  {one_line(rest)}"


def headline(audit: Audit) -> str:
    """``12 claims in 3 documents: 1 REFUTED, 11 CONFIRMED; 2 words to put right``."""
    counts = Counter(judgement.status for judgement in audit.judgements)
    listed = ", ".join(f"{counts[status]} {status}" for status in _WORST_FIRST if counts[status])
    total = f"{len(audit.judgements)} claims in {len(audit.findings)} documents"
    remarks = f"; {len(audit.remarks)} words to put right" if audit.remarks else ""
    return f"{total}{f': {listed}' if listed else ''}{remarks}"


def audit_annotations(audit: Audit, folder: str = "") -> list[str]:
    """What fails as errors, the rest that needs a look as warnings, each at its line.

    Args:
        audit: what was found.
        folder: of its documents, as seen from the root of the repository.
    """
    errors: list[Note] = []
    warnings: list[Note] = []
    for judgement in audit.judgements:
        claim = judgement.claim
        note = Note.at(f"{judgement.status}: {claim.text}", judgement.sentence, f"{claim.path}:{claim.line}", folder)
        if judgement.status not in _QUIET:
            (errors if audit.fails(judgement.status) else warnings).append(note)
    for remark in audit.remarks:
        note = Note.at("words", remark.message, f"{remark.path}:{remark.line}", folder)
        (errors if remark.fails or audit.strict else warnings).append(note)
    whole = Note("claims", headline(audit))
    return [*note_lines("error", errors), *note_lines("warning", warnings), *note_lines("notice", [whole])]


def write_ledger(audit: Audit, path: Path, now: datetime) -> None:
    """Write all of it as JSON, whole or not at all.

    Args:
        audit: what was found.
        path: the file.
        now: when the audit was made.

    Raises:
        ResultError: it cannot be written.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "audited_at": now.isoformat(timespec="seconds"),
        "failed": audit.failed,
        "headline": headline(audit),
        "claims": [_entry(judgement) for judgement in audit.judgements],
        "remarks": [asdict(remark) for remark in audit.remarks],
        "problems": list(audit.problems),
    }
    write_atomically(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def _entry(judgement: Judgement) -> dict[str, Any]:
    claim = judgement.claim
    return {
        "path": claim.path,
        "line": claim.line,
        "column": claim.column,
        "text": claim.text,
        "says": said_text(claim),
        "quantity": str(claim.quantity),
        "statistic": claim.statistic,
        "stage": claim.stage,
        "model": claim.model,
        "target": claim.target,
        "status": str(judgement.status),
        "sentence": judgement.sentence,
        "basis": judgement.basis,
    }


def table_lines(judgements: Sequence[Judgement]) -> list[str]:
    """Each claim with what it is bound to: what ``voiceflow claims list`` shows."""
    lines = []
    for judgement in judgements:
        claim = judgement.claim
        about = " · ".join(filter(None, (claim.model, claim.stage, claim.target, claim.statistic)))
        bound = judgement.basis or judgement.sentence
        lines.append(
            one_line(f'{claim.where}  {claim.quantity} {said_text(claim)}  "{claim.text}"  {about or "-"}  -> {bound}')
        )
    return lines
