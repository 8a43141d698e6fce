"""Half an hour of everything at once, on one server: ``python -m benchmarks.soak``.

Requests, recordings and live streams, versions that are loaded, refused, tried and taken back, clients that hang up,
dawdle and send nonsense, and stops of the server's process, all together. Every answer is held to what its version
answers to just that content, and to the time at which that version was in use; memory, descriptors, errors and P99 are
followed. With the page and the picture in it::

    python -m benchmarks.soak --json benchmarks/soak/results.json --docs

Results are written as it goes, so a soak that is cut off leaves what it has. ``--quick`` shows that it works, and is no
result. Exit status 1 when a goal is missed. Needs the ``serve`` and ``client`` extras, and ``onnx``.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.soak.chart import draw
from benchmarks.soak.plan import QUICK, Plan
from benchmarks.soak.run import soak
from benchmarks.soak.run_state import FINISHED
from benchmarks.soak.table import PAGE, render, write_page
from benchmarks.soak.verdict import MIB, is_reached
from voiceflow_ml.files import write_text_atomic

PICTURE = PAGE.parent / "examples" / "soak.svg"


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print, and write where asked to."""
    options = _parser().parse_args(arguments)
    token = secrets.token_hex(16)
    # The server inherits it; nobody else is to change the version meanwhile.
    os.environ["VOICEFLOW_ADMIN_TOKEN"] = token
    results = soak(_plan(options), token, lambda found: _keep(options.json, found))
    if "samples" not in results:
        print(f"the soak ended before the load began: {results['state']}", file=sys.stderr)
        return 1
    print(render(results))
    if options.docs and results["state"] == FINISHED:
        write_text_atomic(PICTURE, draw(results).standalone())
        write_page(results)
    return 0 if is_reached(results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="of the load")
    parser.add_argument("--rate", type=float, help=f"requests in a second; {Plan.rate_per_s:g} by default")
    parser.add_argument("--json", type=Path, help="also write everything here, as it goes")
    parser.add_argument("--docs", action="store_true", help="also write the page and its picture")
    parser.add_argument("--quick", action="store_true", help="some seconds' run: no result")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK
    if not options.quick:
        duration_s = 60 * options.minutes
        # A tenth each to warm up and to compare, as three minutes are of half an hour.
        part_s = duration_s / 10
        plan = replace(Plan(), duration_s=duration_s, warmup_s=part_s, compare_s=part_s)
    return replace(plan, rate_per_s=options.rate) if options.rate else plan


def _keep(path: Path | None, found: Mapping[str, Any]) -> None:
    if path is not None:
        write_text_atomic(path, json.dumps(found, indent=1) + "\n")
    if found.get("samples"):
        last = {name: column[-1] for name, column in found["samples"].items()}
        print(
            f"{last['at_s']:7.1f} s: {last['resident_bytes'] / MIB:.0f} MiB, {last['descriptors']} descriptors, "
            f"{last['connections']} connections, {last['right']} right, {last['turned_away']} turned away, "
            f"{last['troubles']} troubles, load {last['load_average']}",
            file=sys.stderr,
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
