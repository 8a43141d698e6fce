"""Plant every fault, and write what became of it to results.json and the document: ``python -m tests.faults``."""

from __future__ import annotations

import sys

from tests.faults.matrix import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
