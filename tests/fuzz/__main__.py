"""Let the corpus of broken models in and write what became of it: ``python -m tests.fuzz [EVERY]``.

The whole corpus by the ways that let a stranger's model in;
each EVERYth mutant, by default each, by all others too.
"""

from __future__ import annotations

import json
import sys

from tests.fuzz.models.corpus import corpus
from tests.fuzz.models.run import problems, run, summary
from tests.fuzz.models.ways import GATES, WAYS
from tests.fuzz.table import RESULTS
from voiceflow_ml.files import write_text_atomic

every = int(sys.argv[1]) if len(sys.argv) > 1 else 1
first = ("open_onnx", *GATES)
others = tuple(name for name in WAYS if name not in first)
found = [*run(only=first), *run(list(range(0, len(corpus()), every)), only=others)]
for line in problems(found):
    sys.stdout.write(line + "\n")
write_text_atomic(RESULTS, json.dumps({"other_ways_every": every, **summary(found)}, indent=1) + "\n")
sys.exit(bool(problems(found)))
