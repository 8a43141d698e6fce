"""Plant every lie, run every honest run, and write the table into docs/hardware.md: ``python -m tests.lies``."""

from __future__ import annotations

from tests.lies.table import DOCUMENT, table, with_table
from voiceflow_ml.files import write_text_atomic

write_text_atomic(DOCUMENT, with_table(DOCUMENT.read_text(encoding="utf-8"), table()))
