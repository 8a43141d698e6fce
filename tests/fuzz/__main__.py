"""Let the whole corpus of broken models in by every way, and write what became of it: ``python -m tests.fuzz``."""

from __future__ import annotations

import json
import sys

from tests.fuzz.models.run import problems, run, summary
from tests.fuzz.table import RESULTS
from voiceflow_ml.files import write_text_atomic

found = run()
for line in problems(found):
    sys.stdout.write(line + "\n")
write_text_atomic(RESULTS, json.dumps(summary(found), indent=1) + "\n")
sys.exit(bool(problems(found)))
