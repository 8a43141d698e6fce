"""Markers, targets and promises: what is collected, and what stops at collection."""

from __future__ import annotations

import pytest

from tests.integration.plugin_project import Project, one_line_with


def collected(project: Project, *arguments: str) -> list[str]:
    """Names of the items that a run would run."""
    result = project.run("--collect-only", "-q", *arguments)
    assert result.ret in (0, 5), result.stdout.str()
    return [line.partition("::")[2] for line in result.outlines if "::" in line]


def test_a_hardware_test_is_one_item_for_each_target(project: Project) -> None:
    project.write_test("""
@pytest.mark.hardware(targets=["cpu", "cuda-t4"])
def test_both(target):
    assert target.name == "cpu"

@pytest.mark.hardware
def test_default(target):
    assert target.name == "cpu"
""")
    assert collected(project) == ["test_both[cpu]", "test_both[cuda-t4]", "test_default[cpu]"]
    result = project.run("-rs", "-W", "error")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * cuda-t4 was not asked for: add --gpu=t4"])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("hardware", ["test_both[cpu]", "test_both[cuda-t4]", "test_l4[cuda-l4]"]),
        ("hardware and cuda", ["test_both[cuda-t4]", "test_l4[cuda-l4]"]),
        ("cuda_t4", ["test_both[cuda-t4]"]),
        ("cpu", ["test_both[cpu]"]),
        ("not hardware", ["test_plain"]),
    ],
)
def test_target_markers_select_with_m(project: Project, expression: str, expected: list[str]) -> None:
    project.write_test("""
@pytest.mark.hardware(targets=["cpu", "cuda-t4"])
def test_both(target):
    pass

@pytest.mark.hardware(targets=["cuda-l4"])
def test_l4():
    pass

def test_plain():
    pass
""")
    assert collected(project, "--strict-markers", "-m", expression) == expected


def test_targets_come_from_the_promises_of_sla_toml(project: Project) -> None:
    project.promise("cuda-a100", "cpu")
    project.write_test("""
@pytest.mark.hardware
@pytest.mark.sla("tiny")
def test_tiny(latency, target):
    pass
""")
    assert collected(project) == ["test_tiny[cuda-a100]", "test_tiny[cpu]"]


def test_another_sla_file_is_read_with_sla_file(project: Project) -> None:
    project.promise("cpu", "cuda-t4").rename(project.root / "other.toml")
    project.write_test("""
@pytest.mark.hardware
@pytest.mark.sla("tiny")
def test_tiny(latency, target):
    pass
""")
    assert collected(project, "--sla-file=other.toml") == ["test_tiny[cpu]", "test_tiny[cuda-t4]"]
    result = project.run("--collect-only", "--sla-file=nowhere.toml")
    assert result.ret != 0
    result.stdout.fnmatch_lines(
        ["test_it.py::test_tiny: *nowhere.toml: no such file; write one, or name another with --sla-file"]
    )


def test_markers_work_on_classes_and_beside_other_parameters(project: Project) -> None:
    project.write_test("""
@cpu
class TestModel:
    @met
    @pytest.mark.parametrize("repeat", [1, 2])
    def test_sizes(self, latency, repeat):
        latency(work)

    def test_no_promise(self, target):
        assert target.name == "cpu"
""")
    result = project.run("-W", "error", "--strict-markers")
    result.assert_outcomes(passed=3)
    assert [entry["planned"]["node_id"] for entry in project.results()] == [
        "test_it.py::TestModel::test_sizes[cpu-1]",
        "test_it.py::TestModel::test_sizes[cpu-2]",
    ]


MISTAKES = {
    "unknown target": (
        '@pytest.mark.hardware(targets=["gpu"])\n',
        "unknown target 'gpu'; known targets: cpu, cuda-t4, *",
    ),
    "targets is no list": (
        '@pytest.mark.hardware(targets="cpu")\n',
        "targets must be a list of names, got 'cpu'; write @pytest.mark.hardware or *",
    ),
    "positional target": (
        '@pytest.mark.hardware("cpu")\n',
        "the hardware marker does not take the positional argument 'cpu'; write @pytest.mark.hardware or *",
    ),
    "unknown hardware argument": (
        '@pytest.mark.hardware(target="cpu")\n',
        "the hardware marker does not take 'target'; write @pytest.mark.hardware or *",
    ),
    "unknown SLA name": (
        '@pytest.mark.hardware\n@pytest.mark.sla("tinny")\n',
        "*sla.toml promises nothing for tinny · model-inference · cpu; it promises: tiny · model-inference · cpu",
    ),
    "unpromised target": (
        '@pytest.mark.hardware(targets=["cuda-l4"])\n@pytest.mark.sla("tiny")\n',
        "*sla.toml promises nothing for tiny · model-inference · cuda-l4; it promises: tiny · model-inference · cpu",
    ),
    "unknown stage": (
        '@cpu\n@pytest.mark.sla("tiny", stage="inference")\n',
        "unknown stage 'inference'; the stages are: model-inference, server-processing, network, end-to-end",
    ),
    "unknown statistic": (
        '@cpu\n@pytest.mark.sla(p98="10ms")\n',
        "the sla marker does not take 'p98'; valid: model, stage, p50, p90, p95, p99, p999, clock, mode, interval",
    ),
    "no unit": (
        '@cpu\n@pytest.mark.sla(p99="10")\n',
        "sla marker: p99: '10' has no unit: write a number and a unit, such as \"10ms\" (units: ns, us, ms, s, min)",
    ),
    "unknown clock": (
        '@cpu\n@pytest.mark.sla(p99="10ms", clock="cpu")\n',
        "sla marker: clock: unknown clock 'cpu'; the clocks are: wall, adjusted",
    ),
    "clock is no text": (
        '@cpu\n@pytest.mark.sla(p99="10ms", clock=3)\n',
        "sla marker: clock: unknown clock 3; the clocks are: wall, adjusted",
    ),
    "unknown mode": (
        '@cpu\n@pytest.mark.sla(p99="10ms", mode="burst")\n',
        "sla marker: mode: unknown mode 'burst'; the modes are: steady, back-to-back, paced, open-loop",
    ),
    "clock and mode that do not go together": (
        '@cpu\n@pytest.mark.sla(p99="10ms", mode="open-loop", interval="1s", clock="adjusted")\n',
        'sla marker: mode: "open-loop" does not go with clock = "adjusted": its latency counts from *',
    ),
    "no interval": (
        '@cpu\n@pytest.mark.sla(p99="10ms", mode="paced")\n',
        'sla marker: interval: is missing: mode = "paced" sends requests on a schedule; add interval = "100ms" or so',
    ),
    "interval of no mode": (
        '@cpu\n@pytest.mark.sla(p99="10ms", interval="1s")\n',
        'sla marker: interval: \'1s\' means nothing to mode = "steady": take it out, or write mode = "paced" or *',
    ),
    "interval without a unit": (
        '@cpu\n@pytest.mark.sla(p99="10ms", mode="paced", interval=100)\n',
        'sla marker: interval: 100 is not a duration: write a number and a unit, such as "10ms" *',
    ),
    "mode of a promise in sla.toml": (
        '@cpu\n@pytest.mark.sla("tiny", mode="back-to-back")\n',
        (
            "the sla marker takes 'mode' only beside a limit: how tiny is measured comes from sla.toml; "
            "write it in the [[objective]] there"
        ),
    ),
    "mode alone": (
        '@cpu\n@pytest.mark.sla(mode="back-to-back")\n',
        "the sla marker needs a model name or a limit; write @pytest.mark.sla*",
    ),
    "prepare is no function": (
        '@pytest.mark.hardware(prepare="open_it")\n@met\n',
        "prepare must be a function, got 'open_it'; write @pytest.mark.hardware(prepare=open_it), a function of *",
    ),
    "prepare is nothing": (
        "@pytest.mark.hardware(prepare=None)\n@met\n",
        "prepare must be a function, got None; write @pytest.mark.hardware(prepare=open_it), a function of *",
    ),
    "empty sla marker": (
        "@cpu\n@pytest.mark.sla()\n",
        "the sla marker needs a model name or a limit; write @pytest.mark.sla*",
    ),
    "two model names": (
        '@cpu\n@pytest.mark.sla("a", "b")\n',
        "the sla marker takes one model name, got ('a', 'b'); write @pytest.mark.sla*",
    ),
    "sla without hardware": (
        '@pytest.mark.sla("tiny")\n',
        "the sla marker needs the hardware marker beside it: @pytest.mark.hardware or *",
    ),
    "latency without sla": (
        "@cpu\n",
        "the latency fixture needs a promise to judge: add @pytest.mark.sla*",
    ),
}


@pytest.mark.parametrize(("marks", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_stops_at_collection_with_one_sentence(project: Project, marks: str, sentence: str) -> None:
    project.promise("cpu")
    project.write_test(f"""
{marks}
def test_wrong(latency):
    latency(work)
""")
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    # Brackets are character classes to fnmatch; the sentences' own stand as they are.
    pattern = sentence.replace("[", "[[]")
    result.stdout.fnmatch_lines([f"test_it.py::test_wrong: {pattern}"])
    assert "Traceback" not in result.stdout.str()
    assert "markers.py" not in result.stdout.str(), "a line of our source is no help to the user"


def test_a_promise_that_nothing_measures_stops_at_collection(project: Project) -> None:
    project.write_test("""
@cpu
@met
def test_wrong(target):
    pass
""")
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["test_it.py::test_wrong: the sla marker needs the latency fixture: *"])


def test_a_call_that_nothing_measures_stops_at_collection(project: Project) -> None:
    project.write_test("""
@pytest.mark.hardware(prepare=lambda target: (work,))
def test_wrong(target):
    pass
""")
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["test_it.py::test_wrong: prepare needs the latency fixture: *"])


def test_latency_without_any_marker_is_one_sentence(project: Project) -> None:
    project.write_test("""
def test_wrong(latency):
    latency(work)
""")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["latency needs the hardware and sla markers on its test: there is nothing to judge"])
    assert "fixtures.py" not in result.stdout.str()


def test_overlapping_objectives_stop_at_collection_with_both_lines(project: Project) -> None:
    sla = project.promise("cpu", "cpu")
    project.write_test("""
@pytest.mark.hardware
@pytest.mark.sla("tiny")
def test_tiny(latency):
    pass
""")
    for arguments in ([], ["sla.toml"]):
        result = project.run(*arguments)
        assert result.ret == pytest.ExitCode.INTERRUPTED
        line = one_line_with(result.stdout.str(), "already promised")
        assert line.endswith(
            "sla.toml:12: tiny · model-inference · cpu is already promised at "
            f"{sla}:7; put all limits of one model, stage and target into one [[objective]]"
        )


def test_a_project_with_its_own_target_and_latency_fixtures_is_left_alone(project: Project) -> None:
    project.write_test("""
@pytest.fixture
def target():
    return "mine"

@pytest.fixture
def latency():
    return 5

def test_mine(target, latency):
    assert (target, latency) == ("mine", 5)
""")
    project.run("-W", "error").assert_outcomes(passed=1)
