"""What pyperf is asked to measure: ``pyperf_worker.py MODEL.onnx [pyperf's options]``, which runs itself again."""

from __future__ import annotations

import argparse
from pathlib import Path

import pyperf

from benchmarks.harness.small_model import open_subject


def _pass_on_model(command: list[str], arguments: argparse.Namespace) -> None:
    command.append(str(arguments.model))


def main() -> None:
    """Measure in this process when pyperf started it, else have pyperf start such processes."""
    runner = pyperf.Runner(add_cmdline_args=_pass_on_model)
    runner.argparser.add_argument("model", type=Path)
    model = runner.parse_args().model
    # The process that only starts others has no use for a session, but pyperf wants the same call everywhere.
    runner.bench_func(model.stem, open_subject(model).call)


if __name__ == "__main__":
    main()
