"""Blocks of Python: run, in a folder of their own, with what their prelude gives them."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path

from tests.code_blocks.blocks import Block, BlockError
from tests.code_blocks.preludes import PRELUDES, Prelude

# Verdicts fail nothing here, and nothing is spread over time: that the test runs is what the block is for.
PYTEST_OPTIONS = (
    "-m",
    "hardware",
    "--sla-policy=report-only",
    "--sla-span=0s",
    "--sla-time-budget=1s",
    "-p",
    "no:cacheprovider",
)
_TEST = re.compile(r"^def test_", re.MULTILINE)
RunPytest = Callable[..., str]


def check_python(block: Block, folder: Path, run_pytest: RunPytest) -> None:
    """Run a block; one with tests in it is run by pytest.

    Args:
        block: the block.
        folder: an empty one, to run in.
        run_pytest: runs pytest there with options; returns what went wrong, empty for nothing.

    Raises:
        BlockError: it does not run.
    """
    prelude = _prelude_of(block)
    prelude.prepare(folder)
    with prelude.serve() as replacements:
        source = prelude.before + block.text
        for old, new in replacements.items():
            source = source.replace(old, new)
        if _TEST.search(block.text):
            (folder / "test_block.py").write_text(source, encoding="utf-8")
            problem = run_pytest(*PYTEST_OPTIONS)
        else:
            problem = _run(source, block, folder)
    if problem:
        raise BlockError(
            f"{problem}\nThe block ran in an empty folder, {'after its' if prelude.marks else 'without a'} prelude; "
            "what its reader has besides belongs into PRELUDES of tests/code_blocks/preludes.py"
        )


def _prelude_of(block: Block) -> Prelude:
    found = [prelude for prelude in PRELUDES if prelude.document == block.document and prelude.marks in block.text]
    return found[0] if found else Prelude(block.document, "")


def _run(source: str, block: Block, folder: Path) -> str:
    # Dataclasses look their own module up.
    module = types.ModuleType(f"block_{block.line}")
    sys.modules[module.__name__] = module
    try:
        with chdir(folder), redirect_stdout(StringIO()):
            exec(compile(source, str(block), "exec", dont_inherit=True), module.__dict__)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        del sys.modules[module.__name__]
    return ""
