"""``MODEL_CARD.md``: what a released model is, from its contract, its record and, once published, its manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from voiceflow_ml.contract.document import read_contract
from voiceflow_ml.errors import ResultError
from voiceflow_ml.registry.publish import CARD_FILE
from voiceflow_ml.reporting.render import code_span, escape_markdown, fill_template
from voiceflow_ml.units import format_ns

TEMPLATES = Path("reports/templates")
"""Where a project keeps templates of its own, below its folder."""
CARD_TEMPLATE = f"{CARD_FILE}.j2"


def render_card(folder: Path, override_folder: Path, verdicts: tuple[str, ...] = ()) -> str:
    """Render the card of a release.

    Args:
        folder: what ``voiceflow export`` wrote.
        override_folder: a template of the same name here replaces the packaged one.
        verdicts: one line for each promise: what was measured.

    Raises:
        ContractError: the folder has no contract, or one that cannot be read.
        ResultError: its record or the template cannot be used.
    """
    contract = read_contract(folder)
    record = _record(folder / f"{contract.model}.json")
    return fill_template(
        CARD_TEMPLATE,
        override_folder,
        filters={"md": escape_markdown, "code": code_span, "ns": format_ns, "signed": "{:+.2f}".format},
        names={"contract": contract, "record": record, "verdicts": verdicts},
    )


def _record(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} is not a readable export record ({error})") from None
    return record
