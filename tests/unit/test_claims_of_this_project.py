"""Every number in this project's own documents is bound to committed results, or says why it promises nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from voiceflow_ml.claims import Auditor, read_settings
from voiceflow_ml.claims.ledger import audit_lines

ROOT = Path(__file__).parents[2]
# A checkout's age is no error of its documents: results are as old as they were on this day.
THEN = datetime(2026, 12, 1, tzinfo=UTC)


def test_our_documents_say_what_our_results_say() -> None:
    settings = read_settings(ROOT)
    assert settings.strict
    audit = Auditor(settings, THEN).audit([ROOT / path for path in settings.paths])
    assert not audit.failed, "\n".join(["voiceflow claims check says:", *audit_lines(audit)])
    assert len(audit.judgements) > 100
