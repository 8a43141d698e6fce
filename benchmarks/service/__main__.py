"""The service against its claims: a plain baseline, half of its capacity, live streams, five times its capacity.

All parts, with the table written into docs/serving-performance.md::

    python -m benchmarks.service --json benchmarks/service/results.json --docs

One part alone: ``python -m benchmarks.service streams``; with ``--json`` the others in the file stay. ``--quick`` is
a minute's run that shows that it works, and no result. Needs the ``serve`` and ``client`` extras.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.service import parts
from benchmarks.service.client_cost import client_cost
from benchmarks.service.docs import write_page
from benchmarks.service.table import render
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.hardware.probe import probe_machine

NAMES = ("baseline", "half", "streams", "overload", "clients")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write where asked to."""
    options = _parser().parse_args(arguments)
    results = _begun(options.json)
    rounds, seconds = (1, 1.0) if options.quick else (options.rounds, options.seconds)
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        "baseline": lambda: parts.against_baseline(rounds, seconds, _say),
        "half": lambda: parts.at_half(rounds, seconds, _say),
        "streams": lambda: parts.streams(seconds, _say),
        "overload": lambda: parts.overload(seconds, _say),
        "clients": lambda: dict(client_cost(20 if options.quick else 400)),
    }
    for name in options.parts or NAMES:
        results[name] = runs[name]()
        results["load_average"][1] = os.getloadavg()[0]
        if options.json:
            write_text_atomic(options.json, json.dumps(results, indent=1) + "\n")
    print(render(results))
    if options.docs:
        write_page(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=(*NAMES, []), help="which parts; all by default")
    parser.add_argument("--rounds", type=int, default=3, help="trials of each contestant")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each trial")
    parser.add_argument("--json", type=Path, help="also write everything here")
    parser.add_argument("--docs", action="store_true", help="also write docs/serving-performance.md")
    parser.add_argument("--quick", action="store_true", help="a minute's run: no result")
    return parser


def _begun(path: Path | None) -> dict[str, Any]:
    """Where and when; parts of an earlier file stay."""
    earlier = json.loads(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else {}
    return {
        **{name: earlier[name] for name in NAMES if name in earlier},
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": probe_machine(),
        "cores": len(os.sched_getaffinity(0)),
        "priority": _priority(),
        "load_average": [os.getloadavg()[0], os.getloadavg()[0]],
    }


def _priority() -> str:
    """How this process, and all that it starts, is scheduled beside others."""
    if os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):
        return "at real-time priority"
    return f"at nice {os.nice(0)}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
