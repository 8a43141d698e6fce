"""Mutants of ``latency`` and ``sla``: how many do the tests that are about them tell from the program?

python -m benchmarks.mutation                                # all that are not tested yet, then results and page
python -m benchmarks.mutation 'voiceflow_ml.latency.plan.*'  # those that match, again
python -m benchmarks.mutation --survivors latency/plan       # those of a module or package that survived, again
python -m benchmarks.mutation --show latency/plan            # what those are

A run may be broken off at any time and goes on where it was: what became of each mutant is kept in ``mutants/``
until its function changes. After a test was changed, ask for the survivors again. Delete ``mutants/`` to begin anew.
``--write`` writes what is known so far: mutants are tested in an order as good as drawn, so it is a sample.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.marked import fill_page
from benchmarks.mutation.mutants import PACKAGES, ROOT, Fate, Mutant, change_of, counts_of, read_mutants, row, survivors
from benchmarks.mutation.table import render
from voiceflow_ml.files import write_text_atomic

RESULTS = Path(__file__).with_name("results.json")
PAGE = ROOT / "docs" / "reliability.md"
BLOCK = "mutation"


def run_tool(names: Sequence[str]) -> None:
    """Test mutants in a process of its own, which shows how far it is."""
    subprocess.run([sys.executable, "-m", "benchmarks.mutation.tool", *names], cwd=ROOT, check=True)


def is_of(mutant: Mutant, place: str) -> bool:
    """Whether a mutant is of a package or module."""
    return mutant.module == place or mutant.module.startswith(f"{place}/")


def results_of(mutants: Sequence[Mutant], measured_at: str) -> dict[str, Any]:
    """The results file: counts of packages and modules, and each survivor in text."""
    left = survivors(mutants)
    packages = [
        row(
            name,
            [mutant.fate for mutant in mutants if is_of(mutant, name)],
            sum(one["reason"] is not None and one["module"].startswith(f"{name}/") for one in left),
        )
        for name in PACKAGES
    ]
    return {
        "measured_at": measured_at,
        "tool": f"mutmut {version('mutmut')}",
        "packages": packages,
        "modules": counts_of(mutants, left),
        "survivors": left,
    }


def write_results() -> None:
    """Results file and page, from what is in ``mutants/``."""
    results = results_of(read_mutants(), datetime.now(UTC).date().isoformat())
    write_text_atomic(RESULTS, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if PAGE.exists():
        fill_page(PAGE, BLOCK, render(results))
    print(render(results))


def main() -> None:
    """Run, show, or write what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="mutants to test again, by mutmut's names; * matches anything")
    parser.add_argument("--survivors", metavar="PLACE", help="test the survivors of a package or module again")
    parser.add_argument("--show", metavar="PLACE", help="only list the survivors of a package or module")
    parser.add_argument("--write", action="store_true", help="only write the results of what was tested")
    arguments = parser.parse_args()
    place = arguments.show or arguments.survivors
    left = [one for one in read_mutants() if place and is_of(one, place) and one.fate is Fate.SURVIVED]
    if arguments.show:
        for mutant in left:
            was, becomes = change_of(mutant)
            print(f"{mutant.key}\n- {was}\n+ {becomes}\n")
        return
    if not arguments.write and not (arguments.survivors and not left):
        run_tool([*arguments.names, *(mutant.key for mutant in left)])
    write_results()


if __name__ == "__main__":
    main()
