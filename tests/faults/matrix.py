"""The matrix: all rows, planted one after the other, and what became of each."""

from __future__ import annotations

import json
import platform
import tempfile
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults import crowds, disks, kills, machines, models, signals
from tests.faults.row import LostError, NotHereError, Row
from tests.faults.table import render
from voiceflow_ml.files import write_text_atomic

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
_BEGIN, _END = "<!-- voiceflow:begin fault-matrix -->", "<!-- voiceflow:end -->"
RESULTS = Path(__file__).with_name("results.json")
ROWS: tuple[Row, ...] = (*kills.ROWS, *signals.ROWS, *disks.ROWS, *models.ROWS, *machines.ROWS, *crowds.ROWS)


def plant(row: Row) -> dict[str, Any]:
    """Plant one fault in a folder of its own; what became of it, as JSON values."""
    entry: dict[str, Any] = {"id": row.id, "fault": row.fault, "planted": row.planted, "holds": row.holds}
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            survived = row.plant(Path(folder))
            entry |= {"became": "survived", "finished": survived.finished, "lost": 0}
            entry |= {"exit_status": survived.exit_status, "says": survived.says.replace(f"{folder}/", "")}
            entry |= {"measured": dict(survived.measured)}
        except NotHereError as reason:
            entry |= {"became": "not run here", "says": str(reason), "lost": 0}
        except LostError as error:
            entry |= {"became": "lost", "says": str(error).replace(f"{folder}/", ""), "lost": len(error.names)}
        except Exception:
            entry |= {"became": "open", "says": traceback.format_exc().replace(f"{folder}/", ""), "lost": 0}
    return {**entry, "took_s": round(time.monotonic() - began_s, 1)}


def main(names: Sequence[str]) -> int:
    """Plant all faults, or those whose id begins with one of these names, and write down what became of each."""
    rows = [row for row in ROWS if not names or row.id.startswith(tuple(names))]
    entries = []
    for row in rows:
        entry = plant(row)
        entries.append(entry)
        _write_down(entry)
        print(f"{entry['became']:12} {row.id:10} {row.fault}: {row.planted} ({entry['took_s']:.1f} s)", flush=True)  # noqa: T201
        if entry["became"] in ("lost", "open"):
            print(entry["says"], flush=True)  # noqa: T201
    return any(entry["became"] in ("lost", "open") for entry in entries)


def _write_down(entry: dict[str, Any]) -> None:
    """Keep an entry in the place of an older one of its row; of rows that there are no more, nothing."""
    entries = {**read_results(), entry["id"]: entry}
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "rows": [entries[row.id] for row in ROWS if row.id in entries],
    }
    write_text_atomic(RESULTS, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    _fill_document(content)


def _fill_document(content: dict[str, Any]) -> None:
    head, begin, rest = DOCUMENT.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    write_text_atomic(DOCUMENT, f"{head}{begin}\n\n{render(content)}\n\n{end}{tail}")


def read_results() -> dict[str, dict[str, Any]]:
    """What became of each row when it was last planted, by its id."""
    if not RESULTS.exists():
        return {}
    return {entry["id"]: entry for entry in json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]}
