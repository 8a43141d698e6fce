"""Performance claims in documents: found, bound to results, judged, and written from them."""

from __future__ import annotations

from voiceflow_ml.claims.audit import Audit, Auditor, Finding
from voiceflow_ml.claims.basis import Judgement
from voiceflow_ml.claims.claim import Claim
from voiceflow_ml.claims.judging import Status
from voiceflow_ml.claims.settings import ClaimsSettings, read_settings

__all__ = ["Audit", "Auditor", "Claim", "ClaimsSettings", "Finding", "Judgement", "Status", "read_settings"]
