from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.sla.load import load_sla
from voiceflow_ml.sla.objectives import STATISTICS as QUANTILES
from voiceflow_ml.sla.objectives import InputSpec, Objective, Stage, cold_variants, find_stage

MODEL = 'version = 1\n[models.m]\nfile = "m.onnx"\n'  # lines 1 to 3
OBJECTIVE = '[[objective]]\nmodel = "m"\ntarget = "cpu"\np99 = "10ms"\n'  # lines 4 to 7 after MODEL
DURATION = 'write a number and a unit, such as "10ms" (units: ns, us, ms, s, min)'
STATISTICS = "p50, p90, p95, p99, p999"
MEASURING = "clock, mode, interval"
TARGETS = "cpu, cuda-t4, cuda-l4, cuda-a10g, cuda-a100, cuda-h100, cuda-h200, cuda-v100, cuda-rtx-4090"
STAGES = "model-inference, server-processing, network, end-to-end"


def write(folder: Path, text: str) -> Path:
    path = folder / "sla.toml"
    path.write_text(text, encoding="utf-8")
    return path


def complaint(folder: Path, text: str) -> str:
    """What load_sla says of a text, with the folder taken away."""
    with pytest.raises(ConfigError) as caught:
        load_sla(write(folder, text))
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("key", QUANTILES)
def test_every_statistic_can_be_promised(tmp_path: Path, key: str) -> None:
    (promise,) = load_sla(write(tmp_path, MODEL + OBJECTIVE.replace("p99", key))).promises
    assert [objective.quantile for objective in promise.objectives] == [QUANTILES[key]]


def test_a_whole_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """# a comment first
version = 1

[models.fast-cnn]
file = "models/fast.onnx"
sha256 = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"
threads = 2

[models.fast-cnn.inputs]
audio = "builtin:speech"
noise = { source = "noise.wav", seconds = 1.5 }
lengths = { shape = [1, 16] }

[[objective]]
model = "fast-cnn"
target = "cpu"
p50 = "5ms"
p999 = "1.5s"

[[objective]]
model = "fast-cnn"
stage = "end-to-end"
target = "cuda-t4"
p99 = "100 ms"
""",
    )
    sla = load_sla(path)
    assert sla.path == path
    model = sla.models["fast-cnn"]
    assert (model.name, model.file, model.folder, model.threads) == ("fast-cnn", "models/fast.onnx", tmp_path, 2)
    assert model.sha256.startswith("0123456789abcdef")
    assert model.where == f"{path}:5"
    assert model.inputs == {
        "audio": InputSpec(source="builtin:speech"),
        "noise": InputSpec(source="noise.wav", seconds=1.5),
        "lengths": InputSpec(shape=(1, 16)),
    }
    first, second = sla.promises
    assert (first.label, first.where) == ("fast-cnn · model-inference · cpu", f"{path}:14")
    assert first.objectives == (
        Objective("fast-cnn", Stage.MODEL_INFERENCE, "cpu", 0.5, 5_000_000),
        Objective("fast-cnn", Stage.MODEL_INFERENCE, "cpu", 0.999, 1_500_000_000),
    )
    assert [objective.statistic for objective in first.objectives] == ["P50", "P99.9"]
    assert (second.stage, second.target, second.where) == (Stage.END_TO_END, "cuda-t4", f"{path}:20")
    assert sla.promise("fast-cnn", Stage.END_TO_END, "cuda-t4") is second
    assert sla.promise("fast-cnn", Stage.NETWORK, "cpu") is None
    assert sla.targets("fast-cnn", Stage.MODEL_INFERENCE) == ("cpu",)


def test_defaults(tmp_path: Path) -> None:
    sla = load_sla(write(tmp_path, MODEL + OBJECTIVE))
    model = sla.models["m"]
    assert (model.threads, model.sha256, model.inputs) == (1, "", {})
    assert sla.promises[0].stage is Stage.MODEL_INFERENCE


def test_the_projects_own_promises_can_be_read() -> None:
    sla = load_sla(Path(__file__).parents[2] / "sla.toml")
    promise = sla.promise("fast-cnn", Stage.MODEL_INFERENCE, "cpu")
    assert promise is not None
    assert [(o.statistic, o.limit_ns) for o in promise.objectives] == [("P99", 10_000_000)]


OBJECTIVE_COMPLAINTS: list[tuple[str, str, str]] = [
    ('p99 = "10ms"', 'p99 = "10"', f"sla.toml:7: objective[1].p99: '10' has no unit: {DURATION}"),
    (
        'p99 = "10ms"',
        'p99 = "-3ms"',
        f"sla.toml:7: objective[1].p99: '-3ms' is negative: a duration must be positive; {DURATION}",
    ),
    (
        'p99 = "10ms"',
        'p99 = "0ms"',
        f"sla.toml:7: objective[1].p99: '0ms' is less than 1 ns: a duration must be at least 1ns; {DURATION}",
    ),
    ('p99 = "10ms"', "p99 = 10", f"sla.toml:7: objective[1].p99: 10 is not a duration: {DURATION}"),
    ('p99 = "10ms"', "p99 = nan", f"sla.toml:7: objective[1].p99: nan is not a duration: {DURATION}"),
    (
        'p99 = "10ms"',
        "",
        f'sla.toml:4: objective[1]: no limit is given; add one such as p99 = "10ms" (one of {STATISTICS})',
    ),
    (
        'p99 = "10ms"',
        'p98 = "10ms"',
        f"sla.toml:7: objective[1].p98: unknown key; valid here: model, stage, target, {STATISTICS}, {MEASURING}",
    ),
    ('"m"', '"q"', "sla.toml:5: objective[1].model: unknown model 'q'; declared models: m"),
    (
        '"m"',
        "3",
        'sla.toml:5: objective[1].model: must be text in quotes, got 3; write, for example, model = "fast-cnn"',
    ),
    ('model = "m"\n', "", 'sla.toml:4: objective[1].model: is missing; write, for example, model = "fast-cnn"'),
    ('"cpu"', '"t5"', f"sla.toml:6: objective[1].target: unknown target 't5'; known targets: {TARGETS}"),
    ('"cpu"', '"CPU"', f"sla.toml:6: objective[1].target: unknown target 'CPU'; known targets: {TARGETS}"),
    ('"cpu"', '"cpu"\nstage = "gpu"', f"sla.toml:7: objective[1].stage: unknown stage 'gpu'; the stages are: {STAGES}"),
]


@pytest.mark.parametrize(("old", "new", "expected"), OBJECTIVE_COMPLAINTS)
def test_a_wrong_objective_is_one_sentence(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert OBJECTIVE.count(old) == 1
    assert complaint(tmp_path, MODEL + OBJECTIVE.replace(old, new)) == expected


THREADS = "write, for example, threads = 1"
SHAPE = "write, for example, shape = [1, 48000]"
ORIGIN = 'give either a source ("builtin:speech", a .wav or a .npy file) or a shape'
MODEL_COMPLAINTS: list[tuple[str, str]] = [
    ("threads = 0", f"sla.toml:4: models.m.threads: must be at least 1, got 0; {THREADS}"),
    ("threads = true", f"sla.toml:4: models.m.threads: must be a whole number, got True; {THREADS}"),
    ('threads = "2"', f"sla.toml:4: models.m.threads: must be a whole number, got '2'; {THREADS}"),
    ("threads = 1.5", f"sla.toml:4: models.m.threads: must be a whole number, got 1.5; {THREADS}"),
    (
        'sha256 = "abc"',
        "sla.toml:4: models.m.sha256: must be the 64 hexadecimal digits that sha256sum prints, got 'abc'",
    ),
    (
        f'sha256 = "{"g" * 64}"',
        f"sla.toml:4: models.m.sha256: must be the 64 hexadecimal digits that sha256sum prints, got '{'g' * 64}'",
    ),
    (
        "thread = 1",
        (
            "sla.toml:4: models.m.thread: unknown key; valid here: file, sha256, threads, "
            "provider, provider_options, boundary, spinning, inputs"
        ),
    ),
    (
        "inputs = { x = { shape = [0, 3] } }",
        f"sla.toml:4: models.m.inputs.x.shape[1]: must be at least 1, got 0; {SHAPE}",
    ),
    (
        'inputs.x.shape = [1,\n  "a"]',
        f"sla.toml:4: models.m.inputs.x.shape[2]: must be a whole number, got 'a'; {SHAPE}",
    ),
    ('[models.m.inputs]\nx = { source = "a.wav", shape = [1] }', f"sla.toml:5: models.m.inputs.x: {ORIGIN}"),
    ("[models.m.inputs]\nx = {}", f"sla.toml:5: models.m.inputs.x: {ORIGIN}"),
    (
        "[models.m.inputs]\nx = 3",
        (
            "sla.toml:5: models.m.inputs.x: must be a table, got 3; "
            'write, for example, x = "builtin:speech" or x = { shape = [1, 48000] }'
        ),
    ),
    (
        '[models.m.inputs.x]\nsource = "a.wav"\nsecond = 1',
        (
            "sla.toml:6: models.m.inputs.x.second: unknown key; "
            "valid here: source, shape, seconds, cold_shapes, cold_seconds"
        ),
    ),
    (
        '[models.m.inputs.x]\nsource = "a.wav"\nseconds = inf',
        "sla.toml:6: models.m.inputs.x.seconds: must be a finite number, got inf; write, for example, seconds = 3.0",
    ),
    (
        '[models.m.inputs.x]\nsource = "a.wav"\nseconds = -1',
        "sla.toml:6: models.m.inputs.x.seconds: must be more than 0.0, got -1; write, for example, seconds = 3.0",
    ),
]


@pytest.mark.parametrize(("extra", "expected"), MODEL_COMPLAINTS)
def test_a_wrong_model_is_one_sentence(tmp_path: Path, extra: str, expected: str) -> None:
    assert complaint(tmp_path, f"{MODEL}{extra}\n") == expected


COLD_SHAPES = "write, for example, cold_shapes = [[1, 16000], [1, 8000]]"
COLD_SECONDS = "write, for example, cold_seconds = [1.0, 0.5]"
TOGETHER = "cold_shapes and cold_seconds are tried together, the first of each input and so on"
EQUALLY = "give equally many for each input that has any"
COLD_COMPLAINTS: list[tuple[str, str]] = [
    (
        "shape = [1, 9]\ncold_shapes = 3",
        f"sla.toml:6: models.m.inputs.x.cold_shapes: must be a list, got 3; {COLD_SHAPES}",
    ),
    (
        "shape = [1, 9]\ncold_shapes = [[1, 8], 4]",
        f"sla.toml:6: models.m.inputs.x.cold_shapes[2]: must be a list, got 4; {COLD_SHAPES}",
    ),
    (
        "shape = [1, 9]\ncold_shapes = [[1, 8], [1, 0]]",
        f"sla.toml:6: models.m.inputs.x.cold_shapes[2][2]: must be at least 1, got 0; {COLD_SHAPES}",
    ),
    (
        "shape = [1, 9]\ncold_shapes = [[1, 8.5]]",
        f"sla.toml:6: models.m.inputs.x.cold_shapes[1][2]: must be a whole number, got 8.5; {COLD_SHAPES}",
    ),
    (
        "shape = [1, 9]\ncold_shapes = [[]]",
        f"sla.toml:6: models.m.inputs.x.cold_shapes[1]: must not be empty, got []; {COLD_SHAPES}",
    ),
    (
        'source = "a.wav"\ncold_seconds = 1.0',
        f"sla.toml:6: models.m.inputs.x.cold_seconds: must be a list, got 1.0; {COLD_SECONDS}",
    ),
    (
        'source = "a.wav"\ncold_seconds = [1.0, 0]',
        f"sla.toml:6: models.m.inputs.x.cold_seconds[2]: must be more than 0.0, got 0; {COLD_SECONDS}",
    ),
    (
        'source = "a.wav"\ncold_seconds = [nan]',
        f"sla.toml:6: models.m.inputs.x.cold_seconds[1]: must be a finite number, got nan; {COLD_SECONDS}",
    ),
    (
        'source = "a.wav"\ncold_seconds = ["1s"]',
        f"sla.toml:6: models.m.inputs.x.cold_seconds[1]: must be a number, got '1s'; {COLD_SECONDS}",
    ),
    (
        'source = "a.wav"\ncold_shapes = [[1, 8]]',
        (
            "sla.toml:6: models.m.inputs.x.cold_shapes: shapes are for synthetic values, not for 'a.wav'; "
            "write cold_seconds = [1.0]"
        ),
    ),
    (
        "shape = [1, 9]\ncold_seconds = [1.0]",
        (
            "sla.toml:6: models.m.inputs.x.cold_seconds: seconds are for sound, not for synthetic values; "
            "write cold_shapes = [[1, 16000]]"
        ),
    ),
    (
        'source = "a.npy"\ncold_shapes = [[1, 8]]',
        (
            "sla.toml:6: models.m.inputs.x.cold_shapes: 'a.npy' holds one array of one shape; "
            "take it out, or give a shape or a .wav file"
        ),
    ),
    (
        'source = "a.NPY"\ncold_seconds = [1.0]',
        (
            "sla.toml:6: models.m.inputs.x.cold_seconds: 'a.NPY' holds one array of one shape; "
            "take it out, or give a shape or a .wav file"
        ),
    ),
    (
        'source = "a.wav"\ncold_seconds = [1, 2]\n[models.m.inputs]\ny = { shape = [9], cold_shapes = [[8]] }',
        f"sla.toml:4: models.m.inputs: {TOGETHER}, got x 2, y 1; {EQUALLY}",
    ),
]


@pytest.mark.parametrize(("table", "expected"), COLD_COMPLAINTS)
def test_a_wrong_further_shape_is_one_sentence(tmp_path: Path, table: str, expected: str) -> None:
    assert complaint(tmp_path, f"{MODEL}[models.m.inputs.x]\n{table}\n") == expected


def test_further_shapes_of_inputs_that_vary_together(tmp_path: Path) -> None:
    table = """[models.m.inputs]
audio = { source = "a.wav", cold_seconds = [1, 0.5] }
lengths = { shape = [1, 9], cold_shapes = [[1, 8], [2, 7]] }
other = { shape = [3], cold_shapes = [] }
array = "a.npy"
"""
    inputs = load_sla(write(tmp_path, MODEL + table)).models["m"].inputs
    assert inputs == {
        "audio": InputSpec(source="a.wav", cold_seconds=(1.0, 0.5)),
        "lengths": InputSpec(shape=(1, 9), cold_shapes=((1, 8), (2, 7))),
        "other": InputSpec(shape=(3,)),
        "array": InputSpec(source="a.npy"),
    }
    assert [spec.cold_variants for spec in inputs.values()] == [2, 2, 0, 0]
    assert cold_variants(inputs) == 2


def test_no_further_shape_is_no_variant() -> None:
    assert cold_variants({}) == cold_variants({"x": InputSpec(shape=(1,))}) == 0


VERSION = "write, for example, version = 1"
FILE_COMPLAINTS: list[tuple[str, str]] = [
    ("", f"sla.toml: version: is missing; {VERSION}"),
    ("version = 2\n", "sla.toml:1: version: is 2; this release reads version = 1"),
    ('\nversion = "1"\n', f"sla.toml:2: version: must be a whole number, got '1'; {VERSION}"),
    ("version = true\n", f"sla.toml:1: version: must be a whole number, got True; {VERSION}"),
    (
        "version = 1\n[objectives]\n",
        "sla.toml:2: objectives: unknown key; valid here: version, targets, models, objective, waiver, stages",
    ),
    ("version = 1\nmodels = 3\n", "sla.toml:2: models: must be a table, got 3; write, for example, [models.NAME]"),
    (
        'version = 1\n[objective]\nmodel = "m"\n',
        "sla.toml:2: objective: must be a list, got {'model': 'm'}; write, for example, [[objective]]",
    ),
    (
        'version = 1\n[models]\nm = "x.onnx"\n',
        "sla.toml:3: models.m: must be a table, got 'x.onnx'; write, for example, [models.NAME]",
    ),
    (
        "version = 1\n[models.m]\n",
        'sla.toml:2: models.m.file: is missing; write, for example, file = "model.onnx"',
    ),
    (
        'version = 1\n[models.m]\nfile = ""\n',
        "sla.toml:3: models.m.file: must not be empty, got ''; write, for example, file = \"model.onnx\"",
    ),
    (
        'version = 1\n[targets]\ncuda-t4 = "t4"\n',
        "sla.toml:3: targets.cuda-t4: must be a table, got 't4'; write, for example, [targets.cuda-l40s]",
    ),
    (
        'version = 1\n[targets.cpu]\naccelerator_type = "a b"\n',
        (
            "sla.toml:3: targets.cpu.accelerator_type: String should match pattern '^[A-Za-z0-9_.-]+$', got 'a b'; "
            'write, for example, accelerator_type = "L40S"'
        ),
    ),
    (
        "version = 1\n[models.file]\n[models.Big]\nfile = 1\n[models.'a.b']\nfile = 2\n",
        (
            'sla.toml:2: models.file.file: is missing; write, for example, file = "model.onnx"\n'
            'sla.toml:4: models.Big.file: must be text in quotes, got 1; write, for example, file = "model.onnx"\n'
            'sla.toml:6: models."a.b".file: must be text in quotes, got 2; write, for example, file = "model.onnx"'
        ),
    ),
    (
        "version = 1\n[models]\nfile = 3\n",
        "sla.toml:3: models.file: must be a table, got 3; write, for example, [models.NAME]",
    ),
    (
        MODEL + "[models.n]\nfile = 'n.onnx'\n" + OBJECTIVE.replace('"m"', '"q"'),
        "sla.toml:7: objective[1].model: unknown model 'q'; declared models: m, n",
    ),
    (
        "version = 1\n" + OBJECTIVE,
        "sla.toml:3: objective[1].model: unknown model 'm'; declared models: none; add a [models.NAME] table",
    ),
    ("version = 1\nx = \n", "sla.toml:2: not valid TOML: invalid value (column 5)"),
    ("version = 1\nx = ", "sla.toml: not valid TOML: invalid value (at end of document)"),
    (
        "version = 1\n\n[models.m\n",
        "sla.toml:3: not valid TOML: expected ']' at the end of a table declaration (column 10)",
    ),
    ("version = 1\nversion = 1\n", "sla.toml:2: not valid TOML: cannot overwrite a value (column 12)"),
    ("x = " + "[" * 5_000, "sla.toml: not valid TOML: values are nested too deeply"),
    (
        MODEL + OBJECTIVE + OBJECTIVE.replace("10", "20"),
        (
            "sla.toml:8: m · model-inference · cpu is already promised at sla.toml:4; "
            "put all limits of one model, stage and target into one [[objective]]"
        ),
    ),
]


@pytest.mark.parametrize(("text", "expected"), FILE_COMPLAINTS)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, text: str, expected: str) -> None:
    assert complaint(tmp_path, text) == expected


def test_every_wrong_entry_is_told_at_once(tmp_path: Path) -> None:
    second = '[[objective]]\nmodel = "m"\ntarget = "tpu"\np99 = "1ms"\n'
    lines = complaint(tmp_path, MODEL + OBJECTIVE.replace("10ms", "10") + second).split("\n")
    assert [line.partition(": ")[0] for line in lines] == ["sla.toml:7", "sla.toml:10"]
    assert "objective[2].target: unknown target 'tpu'" in lines[1]


@given(st.text(), st.text())
def test_any_text_is_promises_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, one: str, other: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(f"{MODEL}{one}\n{OBJECTIVE}{other}".encode("utf-8", "surrogatepass"))
    try:
        load_sla(path)
    except ConfigError as error:
        assert str(path) in str(error)  # noqa: PT017 - both outcomes are right, each in its own way


@pytest.mark.parametrize("stage", list(Stage))
def test_stages_are_found_by_name(stage: Stage) -> None:
    assert find_stage(str(stage)) is stage


def test_an_unknown_stage_lists_the_four() -> None:
    with pytest.raises(ConfigError, match=f"unknown stage 'inference'; the stages are: {STAGES}"):
        find_stage("inference")
