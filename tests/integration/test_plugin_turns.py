"""Calls that are handed over before their tests run are measured in turns; each test still stands for itself."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from tests.integration.plugin_project import Project, one_line_with, table, without_numbers
from tests.onnx_models import chain_model

SPAN = "--sla-span=50ms"

# Each call and each opening leaves its name, so that the order in which they came can be told.
PREPARED = """
import json
import time

names = []

def quick():
    return sum(range(1000))

def write():
    with open(f"calls-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}.json", "w") as stream:
        json.dump(names, stream)

@pytest.fixture(autouse=True)
def written():
    yield
    write()

def prepared(name, function=quick, promise=pytest.mark.sla(p50="10s")):
    def open_it(target):
        names.append(f"open {name}")

        def call():
            names.append(name)
            return function()

        return call

    def mark(test):
        return pytest.mark.hardware(prepare=open_it)(promise(test))

    return mark
"""

THREE = (
    PREPARED
    + """
@prepared("a")
def test_a(latency):
    latency()

@prepared("b")
def test_b(latency):
    latency()

@prepared("c")
def test_c(latency):
    latency()
"""
)


def calls(project: Project, worker: str = "alone") -> list[str]:
    """What was opened and called, in order."""
    content: list[str] = json.loads((project.root / f"calls-{worker}.json").read_text(encoding="utf-8"))
    return content


def opened(project: Project) -> list[str]:
    """What was opened, in order."""
    return [name.removeprefix("open ") for name in calls(project) if name.startswith("open ")]


def verdicts(result: pytest.RunResult) -> list[str]:
    """The first words of the table's lines."""
    return [line.split("  ")[0] for line in table(result)[:-1]]


def test_blocks_of_one_fill_the_gaps_of_another(project: Project) -> None:
    project.write_test(THREE)
    project.run("-W", "error", "--sla-policy=strict", SPAN).assert_outcomes(passed=3)
    assert opened(project) == ["a", "b", "c"]
    # After the warm-up of the last member come blocks only, each of two calls that are dropped and ten that count.
    after = calls(project)[calls(project).index("open c") + 1 :]
    runs = [(name, len(list(group))) for name, group in itertools.groupby(after)]
    warm_ups = [next(index for index, (name, _) in enumerate(runs) if name == member) for member in "abc"]
    blocks = runs[max(warm_ups) + 1 :]
    assert {name for name, _ in blocks} == {"a", "b", "c"}
    assert {length % 12 for _, length in blocks} == {0}
    taken = sum(length // 12 for _, length in blocks)
    assert taken == 90, "300 samples of each, ten from each block"
    assert len(blocks) > taken / 2, "one after the other there would be three runs of blocks"


def test_each_leaves_room_for_the_others_between_its_blocks(project: Project) -> None:
    project.write_test(THREE)
    project.run("-W", "error", "--sla-policy=strict", SPAN).assert_outcomes(passed=3)
    runs = [entry["measurement"]["run"] for entry in project.results()]
    assert [run["mode"] for run in runs] == ["steady"] * 3
    assert [len(run["block_starts_ns"]) for run in runs] == [30] * 3
    for run in runs:
        gaps_ns = [
            later - start - lasted
            for start, lasted, later in zip(
                run["block_starts_ns"], run["block_durations_ns"], run["block_starts_ns"][1:], strict=False
            )
        ]
        assert min(gaps_ns) > 0
        assert run["settling_calls"] == 60


def test_promises_of_sla_toml_and_prepared_tests_take_turns(project: Project) -> None:
    chain_model(project.root / "light.onnx", layers=1)
    chain_model(project.root / "heavy.onnx", layers=2)
    models = "".join(
        f'\n[models.{name}]\nfile = "{name}.onnx"\ninputs = {{ x = {{ shape = [64, 128] }} }}\n'
        for name in ("light", "heavy")
    )
    objectives = "".join(
        f'\n[[objective]]\nmodel = "{name}"\ntarget = "cpu"\np50 = "10s"\n' for name in ("tiny", "light", "heavy")
    )
    project.write_sla(models, objectives)
    project.write_test(THREE.partition('@prepared("c")')[0])
    lines = ["tiny", "light", "heavy", "test_a", "test_b"]
    result = project.run("-W", "error", "--sla-policy=strict", SPAN, "-v", "sla.toml", "test_it.py")
    result.assert_outcomes(passed=5)
    assert [line.split(" · ")[0].split()[-1] for line in table(result)[:-1]] == lines
    assert table(result)[-1] == "5 MET"
    results = project.results()
    assert [entry["planned"]["model"] for entry in results] == lines
    assert [entry["measurement"]["facts"].get("model file", "") for entry in results[:3]] == [
        "tiny.onnx",
        "light.onnx",
        "heavy.onnx",
    ]
    assert results[1]["measurement"]["facts"]["model SHA-256"] != results[2]["measurement"]["facts"]["model SHA-256"]


BROKEN = {
    "preparing raises": ('raise RuntimeError("no such model")', "", "RuntimeError: no such model"),
    "preparing returns nonsense": (
        "return 7",
        "",
        "prepare returned 7, which cannot be called; return (model_or_callable, *inputs), or the callable alone",
    ),
    "preparing returns nothing": (
        "return None",
        "",
        "prepare returned None, which cannot be called; return (model_or_callable, *inputs), or the callable alone",
    ),
    "its first call raises": ("", "if not made: raise OSError(5, 'lost the device')", "OSError: * lost the device"),
    "a call of the warm-up raises": ("", "if len(made) == 20: raise KeyError('weights')", "KeyError: 'weights'"),
    "a late call raises": ("", "if len(made) == 300: raise KeyError('weights')", "KeyError: 'weights'"),
}


@pytest.mark.parametrize(
    ("case", "place"),
    [*((case, 1) for case in BROKEN), ("preparing raises", 0), ("its first call raises", 0), ("a late call raises", 0)],
)
def test_what_one_of_them_raises_is_its_own(project: Project, case: str, place: int) -> None:
    preparing, calling, message = BROKEN[case]
    healthy = [
        "@prepared('a')\ndef test_a(latency):\n    latency()\n\n",
        "@prepared('c')\ndef test_c(latency): latency()",
    ]
    broken = f"""
made = []

def broken_call():
    {calling or "pass"}
    made.append(1)
    return quick()

def open_broken(target):
    {preparing or "return broken_call"}

@pytest.mark.hardware(prepare=open_broken)
@pytest.mark.sla(p50="10s")
def test_broken(latency):
    latency()

"""
    healthy.insert(place, broken)
    project.write_test(PREPARED + "".join(healthy))
    result = project.run("-W", "error", SPAN)
    result.assert_outcomes(passed=2, failed=1)
    expected = ["MET", "MET"]
    expected.insert(place, "ERROR")
    assert verdicts(result) == expected
    result.stdout.fnmatch_lines([f"*{message.replace('[', '[[]')}*"])
    by_model = {entry["planned"]["model"]: entry for entry in project.results()}
    assert by_model["test_broken"]["state"] == "error"
    assert opened(project) == ["a", "c"], "nobody was measured twice"


@pytest.mark.parametrize("place", [0, 1], ids=["the first", "a later one"])
def test_preparing_may_skip_its_own_test(project: Project, place: int) -> None:
    tests = [
        "@prepared('a')\ndef test_a(latency):\n    latency()\n\n",
        "@prepared('c')\ndef test_c(latency):\n    latency()\n\n",
    ]
    skipping = """
def open_skipping(target):
    pytest.skip("no weights here")

@pytest.mark.hardware(prepare=open_skipping)
@pytest.mark.sla(p50="10s")
def test_skipping(latency):
    latency()

"""
    tests.insert(place, skipping)
    project.write_test(PREPARED + "".join(tests))
    result = project.run("-W", "error", "-rs", SPAN)
    result.assert_outcomes(passed=2, skipped=1)
    expected = ["MET", "MET"]
    expected.insert(place, "NOT RUN")
    assert verdicts(result) == expected
    assert table(result)[place].endswith("  no weights here")
    assert opened(project) == ["a", "c"]


NOT_MEASURED = {
    "deselected": ("", ["-k", "not b"], ["MET", "MET"]),
    "skipped": ('@pytest.mark.skip(reason="not today")', [], ["MET", "NOT RUN", "MET"]),
    "skipped on a condition": ('@pytest.mark.skipif(True, reason="not today")', [], ["MET", "NOT RUN", "MET"]),
    "on a GPU that nobody asked for": ("@gpu_only", [], ["MET", "NOT RUN", "MET"]),
}


@pytest.mark.parametrize(("marker", "arguments", "expected"), NOT_MEASURED.values(), ids=NOT_MEASURED)
def test_what_does_not_run_is_not_opened(
    project: Project, marker: str, arguments: list[str], expected: list[str]
) -> None:
    if marker == "@gpu_only":
        source = THREE.replace(
            '@prepared("b")\n',
            '@pytest.mark.hardware(targets=["cuda-t4"], prepare=lambda target: names.append("open b"))\n'
            '@pytest.mark.sla(p50="10s")\n',
        )
    else:
        source = THREE.replace('@prepared("b")\n', f'{marker}\n@prepared("b")\n'.lstrip())
    project.write_test(source)
    result = project.run("-W", "error", SPAN, *arguments)
    assert verdicts(result) == expected
    assert opened(project) == ["a", "c"]


def test_a_condition_that_does_not_hold_is_measured_when_its_turn_comes(project: Project) -> None:
    project.write_test(THREE.replace('@prepared("b")\n', '@pytest.mark.skipif(False, reason="")\n@prepared("b")\n'))
    project.run("-W", "error", SPAN).assert_outcomes(passed=3)
    assert opened(project) == ["a", "c", "b"]


def test_what_is_not_prepared_or_not_spread_stays_out_of_the_turns(project: Project) -> None:
    project.write_test(
        THREE
        + """
@prepared("paced", promise=pytest.mark.sla(p50="10s", mode="paced", interval="100us"))
def test_paced(latency):
    latency()

@cpu
@pytest.mark.sla(p50="10s")
def test_by_hand(latency):
    names.append("open by hand")
    latency(work)
"""
    )
    project.run("-W", "error", SPAN).assert_outcomes(passed=5)
    names = calls(project)
    assert opened(project) == ["a", "b", "c", "paced", "by hand"]
    assert {"a", "b", "c"}.isdisjoint(names[names.index("open paced") :])


def test_back_to_back_nobody_takes_turns(project: Project) -> None:
    project.write_test(THREE)
    project.run("-W", "error").assert_outcomes(passed=3)
    order = [name for name, _ in itertools.groupby(calls(project))]
    assert order == ["open a", "a", "open b", "b", "open c", "c"]


def test_stopping_at_the_first_failure_leaves_the_others_not_run(project: Project) -> None:
    project.write_test(
        THREE.replace('@prepared("b")', '@prepared("b", promise=pytest.mark.sla(p50="1ns"))'),
    )
    result = project.run("-W", "error", "-x", SPAN)
    result.assert_outcomes(passed=1, failed=1)
    assert verdicts(result) == ["MET", "BREACHED", "NOT RUN"]
    assert table(result)[2].endswith("  not reached")
    assert opened(project) == ["a", "b", "c"]
    assert "| **NOT RUN** | test\\_c · model-inference · cpu |" in project.report()

    again = project.run("-W", "error", "--lf", "-v", SPAN)
    again.assert_outcomes(failed=1)
    assert opened(project) == ["b"]


def test_one_of_them_alone(project: Project) -> None:
    project.write_test(THREE)
    result = project.run("-W", "error", SPAN, "test_it.py::test_b[cpu]")
    result.assert_outcomes(passed=1)
    assert opened(project) == ["b"]
    assert verdicts(result) == ["MET"]


def test_a_test_that_is_run_again_is_measured_again(project: Project) -> None:
    (project.root / "conftest.py").write_text(
        """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for again in range(2):
        runtestprotocol(item, nextitem=nextitem)
    return True
""",
        encoding="utf-8",
    )
    project.write_test(THREE.partition('@prepared("c")')[0])
    project.run("-W", "error", SPAN).assert_outcomes(passed=4)
    assert opened(project) == ["a", "b", "a", "b"]


HAND_OVERS = {
    "nothing to measure": (
        '@cpu\n@pytest.mark.sla(p50="10s")\ndef test_it(latency):\n    latency()\n',
        "latency() measures what prepare hands over, and this test has none: write latency(model, *inputs)",
    ),
    "two things to measure": (
        '@prepared("a")\ndef test_it(latency):\n    latency(work)\n',
        "this test's call comes from its prepare function: write latency() without arguments",
    ),
    "twice": (
        '@prepared("a")\ndef test_it(latency):\n    latency()\n    latency()\n',
        "latency measures once per test: write a second test for a second measurement",
    ),
    "never": (
        '@prepared("a")\ndef test_it(latency):\n    pass\n',
        "nothing was measured: the test never called latency(...)",
    ),
}


@pytest.mark.parametrize(("source", "sentence"), HAND_OVERS.values(), ids=HAND_OVERS)
def test_a_hand_over_that_makes_no_sense_is_one_sentence(project: Project, source: str, sentence: str) -> None:
    project.write_test(PREPARED + source)
    result = project.run("-W", "error", SPAN)
    result.assert_outcomes(failed=1)
    assert result.outlines.count(sentence) == 1
    assert "Traceback" not in result.stdout.str()
    assert "measuring.py" not in result.stdout.str()


def test_a_prepared_model_and_its_inputs_are_in_the_report(project: Project) -> None:
    project.write_test("""
import numpy as np
from voiceflow_ml.inference.ort import open_onnx

def open_it(target):
    return open_onnx(Path("tiny.onnx"), target), np.zeros((4096, 4), dtype=np.float32)

@pytest.mark.hardware(prepare=open_it)
@pytest.mark.sla("tiny", p50="10s")
def test_it(latency):
    measurement = latency()
    assert len(measurement.samples_ns) == 300
""")
    project.run("-W", "error", SPAN).assert_outcomes(passed=1)
    ((result),) = project.results()
    assert result["measurement"]["inputs"] == "as the test gave them: float32 [4096, 4]"
    assert result["measurement"]["facts"]["model file"] == "tiny.onnx"
    assert "host-to-host" in one_line_with(project.report(), "| timed |")


def worker_calls(project: Project) -> dict[str, list[str]]:
    """What each worker opened and called."""
    return {path.stem.removeprefix("calls-"): calls(project, path.stem[6:]) for path in project.root.glob("calls-*")}


def test_two_workers_give_the_same_table(project: Project) -> None:
    project.write_test(THREE)
    alone = project.run("-W", "error", SPAN, "--sla-report=alone")
    (project.root / "calls-alone.json").unlink()
    parallel = project.run_apart("-W", "error", SPAN, "-n", "2", "--sla-report=parallel")
    parallel.assert_outcomes(passed=3)
    assert without_numbers(table(parallel)) == without_numbers(table(alone))
    openings: list[Any] = [
        name for names in worker_calls(project).values() for name in names if name.startswith("open ")
    ]
    assert sorted(openings) == ["open a", "open b", "open c"], "no worker measures what another one runs"


def test_ctrl_c_in_the_middle_of_a_group_leaves_a_report_that_can_be_read(project: Project) -> None:
    stop = "lambda: quick() if len(names) < 800 else os.kill(os.getpid(), signal.SIGINT)"
    project.write_test(
        THREE.replace('@prepared("b")', f'@prepared("b", function={stop})')
        + "\n@cpu\n@pytest.mark.sla(p50='10s')\ndef test_last(latency):\n    latency(work)\n"
    )
    result = project.run_apart("-W", "error", SPAN)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert [line.split("  ")[0] for line in table(result)[:5]] == [*["NOT RUN"] * 4, "4 NOT RUN"]
    assert project.result_files() == ["session.json"]
    assert "Not finished" in project.report()
    assert project.report().count("| **NOT RUN** |") == 4
