"""A model update for real: a real registry in a folder, real runs of pytest, real servers on loopback."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.contract_models import NAME
from tests.gcp_runs import write_session
from tests.releases import CPU_10_MS, T4_20_MS, TERMS, measured, release, with_contract
from voiceflow_ml.cli import app
from voiceflow_ml.contract import Promise
from voiceflow_ml.contract.server import Check
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.files import hash_file
from voiceflow_ml.pipeline.journal import Journal, StepRecord
from voiceflow_ml.pipeline.plan import PipelinePlan
from voiceflow_ml.registry.publish import publish
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store

SLA = """\
version = 1
[models.tiny]
file = "elsewhere.onnx"
inputs.x = { shape = [2, 4] }
[[objective]]
model = "tiny"
target = "cpu"
p99 = "10ms"
"""
ON_T4 = '[[objective]]\nmodel = "tiny"\ntarget = "cuda-t4"\np99 = "20ms"\n'


class Bench:
    """A registry, an sla.toml and a work folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder / 'registry'}"
        self.sla = folder / "sla.toml"
        self.sla.write_text(SLA, encoding="utf-8")

    @property
    def registry(self) -> Registry:
        return Registry(Store(self.url), NAME)

    def in_use(self) -> dict[str, str]:
        return {channel: promotion.version for channel, promotion in self.registry.in_use().items()}

    def release(self, name: str, *, promised: Sequence[Promise] = (CPU_10_MS,), shift: float = 0.0) -> Path:
        return release(self.folder / name, promised=tuple(promised), shift=shift)

    def run(self, source: Path, *words: str, work: str = "work") -> Result:
        options = ["--registry", self.url, "--sla", str(self.sla), "--work", str(self.folder / work), "--who", "tests"]
        # A verdict needs 2 000 samples; the default span of ten seconds would only spread them.
        quick = ["--measuring", "--sla-span=1s --sla-time-budget=60s"]
        return CliRunner().invoke(app, ["pipeline", "run", str(source), *options, *quick, *words])


@pytest.fixture(name="bench")
def _bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(name="measured_at_once")
def _measured_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of the run of pytest, which one test makes for real: what it would have left, in no time."""

    def command(plan: PipelinePlan, _derived: Path, reports: Path) -> list[str]:
        session = write_session(plan.work / "measured", measured(plan.export_folder))
        return ["cp", "-r", str(session), str(reports)]

    monkeypatch.setattr("voiceflow_ml.pipeline.proof._command", command)


@pytest.fixture(name="fine_canary")
def _fine_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of a server, which other tests start."""
    monkeypatch.setattr("voiceflow_ml.pipeline.rollout.try_canary", lambda *_: (Check("fine"),))


def test_from_an_export_to_what_users_get_then_a_refusal_then_the_next_version(bench: Bench) -> None:
    first = bench.run(bench.release("first"))
    assert first.exit_code == 0, first.output
    assert bench.in_use() == {"canary": "1.0.0", "prod": "1.0.0"}
    assert bench.registry.manifest("1.0.0")[0].verdicts[0].startswith("cpu · P99 <= 10000000 ns: MET")

    again = bench.run(bench.release("first-again"), work="again")
    assert again.exit_code == 1
    assert "step contract refuses: the same file is published already, as tiny 1.0.0" in again.output

    bench.sla.write_text(SLA.replace("10ms", "1us"), encoding="utf-8")
    slow = bench.run(bench.release("slow", promised=(replace(CPU_10_MS, limit_ns=1_000),), shift=0.1), work="slow")
    assert slow.exit_code == 1
    assert "step sla refuses: tiny · model-inference · cpu: P99 BREACHED" in slow.output
    assert bench.in_use() == {"canary": "1.0.0", "prod": "1.0.0"}
    assert "sla: tiny" in json.loads((bench.folder / "slow" / "pipeline.json").read_text())["refused"]


@pytest.mark.usefixtures("measured_at_once", "fine_canary")
def test_a_run_that_was_stopped_goes_on_and_measures_no_second_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bench.release("first")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("voiceflow_ml.pipeline.rollout.publish", die)
        assert bench.run(source).exit_code != 0
    assert bench.registry.versions() == []
    stopped = json.loads((bench.folder / "work" / "pipeline.json").read_text())
    assert [step["name"] for step in stopped["steps"]] == ["train", "export", "contract", "version", "sla"]

    on = bench.run(source)
    assert on.exit_code == 0, on.output
    assert "measuring:" not in on.output
    assert bench.in_use() == {"canary": "1.0.0", "prod": "1.0.0"}

    # And once more, when all is done: nothing is done.
    last = bench.run(source)
    assert last.exit_code == 0
    assert "measuring:" not in last.output
    assert "writing" not in last.output
    assert len(bench.registry.store.names(f"{NAME}/channels/prod")) == 1


def proven(bench: Bench, source: Path, name: str, *, target: str = "cuda-t4", latency_ms: float = 5.0) -> Path:
    """A session of another machine about a release's file."""
    result = measured(source, target=target, latency_ms=latency_ms, limit_ms=20 if target == "cuda-t4" else 10)
    return write_session(bench.folder / name, result)


@pytest.mark.usefixtures("measured_at_once", "fine_canary")
def test_a_declared_target_without_a_verdict_is_refused_and_one_from_another_machine_counts(bench: Bench) -> None:
    bench.sla.write_text(SLA + ON_T4, encoding="utf-8")
    source = bench.release("first", promised=(CPU_10_MS, T4_20_MS))
    refused = bench.run(source)
    assert refused.exit_code == 1
    assert "step sla refuses:" in refused.output
    assert "cuda-t4" in refused.output
    assert bench.registry.versions() == []
    other = proven(bench, bench.release("other", promised=(CPU_10_MS, T4_20_MS), shift=0.5), "t4-other")
    assert bench.run(source, "--results", str(other)).exit_code == 1
    assert bench.run(source, "--results", str(proven(bench, source, "t4"))).exit_code == 0
    assert bench.in_use()["prod"] == "1.0.0"


@pytest.mark.usefixtures("measured_at_once", "fine_canary")
def test_a_change_that_breaks_callers_is_never_made_by_itself(bench: Bench) -> None:
    publish(bench.registry, release(bench.folder / "base"), "1.0.0", TERMS)
    source = bench.release("new", shift=0.5)
    with_contract(source, preprocessing=("mu-law",))
    done = bench.run(source)
    assert done.exit_code == 1
    assert "step version refuses: callers of 1.0.0 would break (major: " in done.output
    assert "give --version 2.0.0 if it is meant" in done.output
    assert bench.registry.versions() == ["1.0.0"]
    small = bench.run(source, "--version", "1.1.0")
    assert small.exit_code == 1
    assert "step publish refuses: 1.1.0 is too small a step from 1.0.0" in small.output
    meant = bench.run(source, "--version", "2.0.0")
    assert meant.exit_code == 0, meant.output
    assert bench.in_use()["prod"] == "2.0.0"


@pytest.mark.usefixtures("measured_at_once")
def test_a_canary_that_breaks_its_contract_is_rolled_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    base = release(bench.folder / "base", promised=(CPU_10_MS,))
    publish(bench.registry, base, "1.0.0", replace(TERMS, results=[measured(base)]))
    for channel in ("canary", "prod"):
        bench.registry.promote("1.0.0", channel, who="a", why="first")
    broken = Check("golden pairs, binary", "y differs by 0.5")
    monkeypatch.setattr("voiceflow_ml.pipeline.canary.verify_server", lambda *_: (broken,))
    done = bench.run(bench.release("new", shift=0.5))
    assert done.exit_code == 1
    assert "step canary refuses: 1.0.1 failed as a canary, and canary is 1.0.0 again" in done.output
    assert "golden pairs, binary: y differs by 0.5" in done.output
    assert bench.in_use() == {"canary": "1.0.0", "prod": "1.0.0"}


@pytest.mark.usefixtures("measured_at_once")
def test_a_canary_that_does_not_start_is_a_refusal(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voiceflow_ml.pipeline.canary.sys.executable", "false")
    done = bench.run(bench.release("first"))
    assert done.exit_code == 1
    assert "step canary refuses: 1.0.0 failed as a canary, and canary could not be rolled back" in done.output
    assert "the canary's server did not start: it said nothing" in done.output
    assert "prod" not in bench.in_use()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": None}, "give either a checkpoint"),
        ({"train": ("fast-cnn",)}, "give either a checkpoint"),
        ({"source": Path("nowhere.pt")}, "nowhere.pt is not there"),
        ({"sla": Path("nowhere.toml")}, "a model is updated against promises"),
        ({"channel": "canary"}, "the canary cannot be in 'canary'"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything(bench: Bench, changes: dict[str, object], message: str) -> None:
    plan = PipelinePlan(bench.folder, bench.url, bench.sla, "tests", source=bench.folder)
    with pytest.raises(ConfigError, match=message):
        replace(plan, **changes)  # type: ignore[arg-type]


def test_training_that_fails_is_a_refusal(bench: Bench) -> None:
    options = ["--registry", bench.url, "--sla", str(bench.sla), "--work", str(bench.folder / "work"), "--who", "tests"]
    done = CliRunner().invoke(app, ["pipeline", "run", "--train", "no-such-network", *options])
    assert done.exit_code == 1
    assert "step train refuses: training ended with status 2" in done.output


def test_an_export_for_other_promises_is_refused(bench: Bench) -> None:
    done = bench.run(bench.release("first", promised=()))
    assert done.exit_code == 1
    assert "step export refuses:" in done.output
    assert "export it again with --sla" in done.output


def test_the_file_that_is_measured_is_the_exported_one_and_inputs_stay_where_they_were(bench: Bench) -> None:
    text = SLA.replace("{ shape = [2, 4] }", '"voices/a \\"b\\" \u00e9.wav"') + (
        '[[objective]]\nmodel = "tiny"\nstage = "end-to-end"\ntarget = "cpu"\np99 = "100ms"\n'
        '[models.other]\nfile = "other.onnx"\n[targets.mine]\nbase = "cuda-t4"\n'
    )
    bench.sla.write_text(text, encoding="utf-8")
    source = bench.release("first")
    out = bench.folder / "elsewhere" / "update.toml"
    done = CliRunner().invoke(app, ["pipeline", "sla", str(source), "--sla", str(bench.sla), "--out", str(out)])
    assert done.exit_code == 0, done.output
    content = tomllib.loads(out.read_text(encoding="utf-8"))
    assert content["models"] == {
        NAME: {
            "file": str(source / "tiny.onnx"),
            "inputs": {"x": str(bench.folder / 'voices/a "b" \u00e9.wav')},
            "sha256": hash_file(source / "tiny.onnx"),
        }
    }
    assert [entry["target"] for entry in content["objective"]] == ["cpu"]
    assert content["targets"] == {"mine": {"base": "cuda-t4"}}


def test_a_journal_forgets_what_rested_on_a_step_that_was_done_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.json")
    for name in ("a", "b", "c"):
        journal.note(StepRecord(name, "1", {"out": name}))
    assert Journal(tmp_path / "journal.json").done("c", "1") == {"out": "c"}
    assert journal.done("c", "2") is None
    journal.note(StepRecord("b", "2", {}))
    assert Journal(tmp_path / "journal.json").done("a", "1") == {"out": "a"}
    assert Journal(tmp_path / "journal.json").done("c", "1") is None
    (tmp_path / "journal.json").write_text("{}")
    with pytest.raises(ConfigError, match="remove it, and the run begins anew"):
        Journal(tmp_path / "journal.json")
