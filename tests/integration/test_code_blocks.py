"""No code block of the documents is older than the code: each is run, loaded, or read by the parser that it is for."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import scipy.cluster.hierarchy  # noqa: F401 - pytester forgets what a block imports, and this loads once in a process

from tests.code_blocks.blocks import ROOT, Block, BlockError, all_blocks, find_blocks
from tests.code_blocks.checks import Tools, check
from tests.code_blocks.output import check_output
from tests.code_blocks.preludes import PRELUDES
from tests.code_blocks.shell import read_console
from tests.integration.plugin_project import Project

BLOCKS = all_blocks()


@pytest.fixture
def tools(pytester: pytest.Pytester, project: Project) -> Tools:
    def run_pytest(*options: str) -> str:
        result = pytester.runpytest_inprocess(*options)
        # What is not MET is an expected failure: a verdict about the machine at hand, not about the block.
        ran = {"passed", "xfailed"} & set(result.parseoutcomes())
        return "" if result.ret == 0 and ran else str(result.stdout)

    return Tools(pytester.path, pytester.parseconfig, run_pytest)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_of_the_documents_is_true(block: Block, tools: Tools) -> None:
    check(block, tools)


def test_a_line_of_a_committed_example_is_output() -> None:
    line = (ROOT / "docs/examples/pipeline.txt").read_text(encoding="utf-8").splitlines()[-1]
    check_output(f"  {line}")


def test_every_prelude_is_of_one_block() -> None:
    for prelude in PRELUDES:
        found = [block for block in BLOCKS if block.document == prelude.document and prelude.marks in block.text]
        assert len(found) == 1, f"{prelude.document}, {prelude.marks!r}: {len(found)} blocks"


def test_blocks_are_found_in_lists_and_without_a_fence() -> None:
    text = '# A\n\n- item\n\n  ```python title="src/a.py"\n  1\n  ```\n\nand\n\n    indented\n'
    fenced, indented = find_blocks(text, "a.md")
    assert (fenced.language, fenced.title, fenced.text, str(fenced)) == ("python", "src/a.py", "1\n", "a.md:5")
    assert (indented.language, indented.text) == ("", "indented\n")


def test_a_console_is_read_as_a_shell_reads_it() -> None:
    text = "A=1 make test | tee out.txt  # why\npip wheel \\\n    . && cp 'a b' c > d\nexport B=2\n"
    commands, printed = read_console(text)
    assert [(dict(command.variables), command.words) for command in commands] == [
        ({"A": "1"}, ("make", "test")),
        ({}, ("tee", "out.txt")),
        ({}, ("pip", "wheel", ".")),
        ({}, ("cp", "a b", "c")),
        ({"B": "2"}, ()),
    ]
    assert printed == []
    commands, printed = read_console("$ make test\nall is well\n\n$ make docs\n")
    assert [command.words for command in commands] == [("make", "test"), ("make", "docs")]
    assert printed == ["all is well"]


WRONG = [
    ("", "x", "nothing checks a block of no language"),
    ("ruby", "x", "nothing checks a block of ruby"),
    ("console", "# nothing\n", "a console without a command"),
    ("console", "voiceflow nope", "voiceflow nope is no command"),
    ("console", "voiceflow diarize a.wav --nope", "--nope"),
    ("console", "voiceflow train fast-cnn --preset huge", "huge"),
    ("console", "voiceflow publish out 1.0.0 --results r", "--registry"),
    ("console", "pytest -m hardware --sla-nope", "--sla-nope"),
    ("console", "pytest --sla-confidence=2", "not a confidence"),
    ("console", "make nope", "nope"),
    ("console", "python -m benchmarks.nope", "no such module"),
    ("console", "python -m benchmarks.service --nope", "has no option --nope"),
    ("console", "python benchmarks/nope.py", "no such file"),
    ("console", 'pip install "voiceflow-ml[nope]"', "the extras of this package are"),
    ("console", "pip install --nope x", "--nope"),
    ("console", "VOICEFLOW_NOPE=1 make test", "nothing in src/ reads it"),
    ("console", "curl http://127.0.0.1:8000/v1/nope", "no route /v1/nope"),
    ("console", "docker compose --file nope.yml up", "nope.yml"),
    ("console", "frobnicate", "nothing checks 'frobnicate'"),
    ("console", "$ make test\nthe weather is rather fine today", "in no string of src/"),
    ("text", "the weather is rather fine today", "in no string of src/"),
    ("usage", "voiceflow train fast-cnn [--nope N]", "has no option --nope"),
    ("usage", "voiceflow train fast-cnn [--preset small|huge]", "does not take huge"),
    ("python", "from voiceflow_ml.latency import nope", "cannot import name 'nope'"),
    ("python", "unheard_of()", "name 'unheard_of' is not defined"),
    ("toml", "[[objective]]\nmodel = 'fast-cnn'\ntarget = 'cpu'\np99 = 10\n", "p99"),
    ("toml", "[tool.voiceflow.claims]\nnope = 1\n", "nope"),
    ("toml", "queue_length = 0\n", "queue_length"),
    ("toml", "nope = 1\n", "no loader takes the keys nope"),
    ("toml", "nope", "not TOML"),
    ("json", "{", "not JSON"),
    ("yaml", "a: [", "not YAML"),
    ("yaml", "jobs: { a: { runs-on: x, steps: 1 } }", "no workflow"),
    ("xml", "<a>", "not XML"),
    ("markdown", "5 ms <!-- claim: none -->", "gives no reason"),
    ("diff", "-nope", "the title of a diff"),
    ("mermaid", "flowchart LR\n  A --> B\n  A ==> C\n", "'A ==> C' is no arrow"),
    ("mermaid", "pie\n", "begins no flow chart"),
]


@pytest.mark.parametrize(("language", "text", "problem"), WRONG)
def test_a_block_that_is_not_true_fails(language: str, text: str, problem: str, tools: Tools) -> None:
    with pytest.raises(BlockError, match=re.escape(problem)):
        check(Block("docs/a.md", 1, language, "", text), tools)


def test_a_test_that_does_not_run_fails(tools: Tools) -> None:
    text = "import pytest\n\n\n@pytest.mark.hardware\ndef test_it(latency_of_old):\n    latency_of_old()\n"
    with pytest.raises(BlockError, match="fixture 'latency_of_old' not found"):
        check(Block("docs/a.md", 1, "python", "", text), tools)


def test_layers_in_another_order_fail(tools: Tools) -> None:
    layers = next(block for block in BLOCKS if block.title == "layers")
    lines = layers.text.splitlines()
    with pytest.raises(BlockError, match="the layers lack"):
        check(replace(layers, text=lines[0]), tools)
    with pytest.raises(BlockError, match=r"pyproject\.toml has .* above"):
        check(replace(layers, text="\n".join(reversed(lines))), tools)


def test_a_number_that_the_example_does_not_have_fails(tools: Tools) -> None:
    (quoted,) = [block for block in BLOCKS if block.document == "README.md" and block.language == "text"]
    with pytest.raises(BlockError, match=r"quotes 5\.73 s, which docs/examples/PERFORMANCE_ANALYSIS\.md does not say"):
        check(replace(quoted, text=quoted.text.replace("5.73 ms", "5.73 s")), tools)


def test_a_change_of_a_line_that_is_gone_fails(tools: Tools) -> None:
    title = "src/voiceflow_ml/units.py"
    check(Block("docs/a.md", 1, "diff", title, " NS_PER_US = 1_000\n+NS_PER_DAY = 86_400 * NS_PER_S\n"), tools)
    with pytest.raises(BlockError, match="has no line 'NS_PER_US = 2_000'"):
        check(Block("docs/a.md", 1, "diff", title, "-NS_PER_US = 2_000\n+NS_PER_US = 1_000\n"), tools)
