"""What publish refuses, and the command line around the registry."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.contract_cases import BASE, CASES, Case
from tests.contract_models import NAME, contracted_model
from tests.releases import CPU_10_MS, END_TO_END, T4_20_MS, TERMS, measured, release, with_contract
from voiceflow_ml import cli
from voiceflow_ml.contract import diff
from voiceflow_ml.contract.diff import Level
from voiceflow_ml.errors import ContractError, IntegrityError, RegistryError
from voiceflow_ml.files import hash_file
from voiceflow_ml.registry.gates import Tolerances, check_step
from voiceflow_ml.registry.manifest import Manifest, PublishedFile, checked_name, manifest_from_bytes
from voiceflow_ml.registry.publish import publish
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store
from voiceflow_ml.registry.versions import base_of, parse_version, smallest_step, step
from voiceflow_ml.results.record import Session
from voiceflow_ml.results.store import ResultStore


@pytest.fixture(name="registry")
def _registry(tmp_path: Path) -> Registry:
    return Registry(Store(str(tmp_path / "registry")), NAME)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_step_that_is_too_small_is_refused_for_every_kind_of_change(case: Case) -> None:
    found = diff(BASE, case.change(BASE))
    versions = {Level.PATCH: "1.2.4", Level.MINOR: "1.3.0", Level.MAJOR: "2.0.0"}
    for level, version in versions.items():
        if level < found.level:
            with pytest.raises(
                RegistryError, match=f"the change is {case.level} .*publish it as {versions[found.level]}"
            ):
                check_step("1.2.3", version, found)
        else:
            check_step("1.2.3", version, found)


@pytest.mark.parametrize(
    ("base", "version", "level"),
    [
        ("1.2.3", "1.2.4", Level.PATCH),
        ("1.2.3", "1.3.0", Level.MINOR),
        ("1.2.3", "2.0.0", Level.MAJOR),
        ("1.2.3", "2.0.0-rc.1", Level.MAJOR),
        ("0.2.3", "0.2.4", Level.MINOR),
        ("0.2.3", "0.3.0", Level.MAJOR),
        ("0.2.3", "1.0.0", Level.MAJOR),
    ],
)
def test_how_large_a_step_is(base: str, version: str, level: Level) -> None:
    assert step(base, version) is level


@given(
    st.sampled_from(["0.0.1", "0.3.0", "1.0.0", "1.4.2", "12.0.7"]),
    st.sampled_from([Level.PATCH, Level.MINOR, Level.MAJOR]),
)
def test_the_smallest_step_is_large_enough_and_the_base_is_its_base(base: str, level: Level) -> None:
    version = smallest_step(base, level)
    assert step(base, version) >= level
    assert base_of(version, [base, "99.0.0"]) == base


def test_the_base_is_the_highest_release_below() -> None:
    published = ["1.0.0", "1.2.0", "2.0.0-rc.1", "2.0.0", "1.10.0"]
    assert base_of("1.2.1", published) == "1.2.0"
    assert base_of("2.0.0-rc.2", published) == "1.10.0"
    assert base_of("0.9.0", published) is None


@pytest.mark.parametrize("text", ["1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0+build", "", "1.0.0 ", "../1.0.0"])
def test_only_strict_versions_are_taken(text: str) -> None:
    with pytest.raises(RegistryError):
        parse_version(text)


@pytest.mark.parametrize("name", ["", "A", "../x", "a/b", ".hidden", "a..b", "ä", "x" * 101])
def test_only_safe_names_are_taken(name: str) -> None:
    with pytest.raises(RegistryError, match="is not a name"):
        checked_name("model", name)


def test_a_version_is_published_once_and_under_its_own_name(registry: Registry, tmp_path: Path) -> None:
    folder = release(tmp_path / "a")
    publish(registry, folder, "1.0.0", TERMS)
    with pytest.raises(RegistryError, match=r"tiny 1\.0\.0 is published already, and a version never changes"):
        publish(registry, folder, "1.0.0", TERMS)
    with pytest.raises(RegistryError, match="is a release of tiny, not of other"):
        publish(Registry(registry.store, "other"), folder, "1.0.0", TERMS)


def test_a_step_that_is_too_small_is_not_published(registry: Registry, tmp_path: Path) -> None:
    publish(registry, release(tmp_path / "a"), "1.0.0", TERMS)
    other = with_contract(release(tmp_path / "b"), licence="Apache-2.0")
    with pytest.raises(RegistryError, match=r"1\.1\.0 is too small a step from 1\.0\.0: the change is major"):
        publish(registry, other, "1.1.0", TERMS)
    assert registry.versions() == ["1.0.0"]
    manifest = publish(registry, other, "2.0.0", TERMS)
    assert (manifest.base, manifest.level) == ("1.0.0", "major")
    assert manifest.changes == ("major: the licence is 'Apache-2.0', was 'MIT'",)


def test_a_model_that_breaks_its_contract_is_not_published(registry: Registry, tmp_path: Path) -> None:
    folder = with_contract(release(tmp_path / "a"), opset={"": 18})
    with pytest.raises(ContractError, match="breaks its contract"):
        publish(registry, folder, "1.0.0", TERMS)
    (folder / "tiny.onnx").unlink()
    with pytest.raises(RegistryError, match=r"holds a contract of tiny but no tiny\.onnx"):
        publish(registry, folder, "1.0.0", TERMS)
    assert registry.versions() == []


def test_a_promise_without_a_met_verdict_about_this_file_is_refused(registry: Registry, tmp_path: Path) -> None:
    folder = release(tmp_path / "a", promised=(CPU_10_MS, END_TO_END))
    other = release(tmp_path / "b", promised=(CPU_10_MS,), shift=0.1)
    useless = [
        measured(other),
        measured(folder, target="cuda-t4"),
        measured(folder, limit_ms=11),
        replace(measured(folder), measurement=None),
    ]
    with pytest.raises(RegistryError, match=r"no verdict for cpu: tiny promises P99 <= 10000000 ns there"):
        publish(registry, folder, "1.0.0", replace(TERMS, results=useless))
    breached = [measured(folder), measured(folder, latency_ms=20)]
    with pytest.raises(RegistryError, match=r"the verdict for cpu is not MET but BREACHED, .*--waive sla:cpu=REASON"):
        publish(registry, folder, "1.0.0", replace(TERMS, results=breached))
    manifest = publish(registry, folder, "1.0.0", replace(TERMS, results=[measured(folder, limit_ms=5)]))
    assert len(manifest.verdicts) == 1
    assert manifest.verdicts[0].startswith("cpu · P99 <= 10000000 ns: MET, ")


def test_a_waiver_has_a_gate_and_a_reason_and_is_published(registry: Registry, tmp_path: Path) -> None:
    folder = release(tmp_path / "a", promised=(T4_20_MS,))
    with pytest.raises(RegistryError, match="there is no gate 'sla:cpu' to waive; this release has der, sla:cuda-t4"):
        publish(registry, folder, "1.0.0", replace(TERMS, waived={"sla:cpu": "x"}))
    with pytest.raises(RegistryError, match="waiving sla:cuda-t4 needs a reason"):
        publish(registry, folder, "1.0.0", replace(TERMS, waived={"sla:cuda-t4": " "}))
    manifest = publish(registry, folder, "1.0.0", replace(TERMS, waived={"sla:cuda-t4": "no T4 here"}))
    assert manifest.waived == {"sla:cuda-t4": "no T4 here"}
    assert manifest.verdicts == ("cuda-t4 · P99 <= 20000000 ns: not measured (waived: no T4 here)",)


def test_a_worse_error_rate_is_refused(registry: Registry, tmp_path: Path) -> None:
    publish(registry, release(tmp_path / "a", der=20.0), "1.0.0", TERMS)
    publish(registry, release(tmp_path / "unused", der=50.0, shift=0.3), "1.0.1", TERMS)
    registry.promote("1.0.0", "prod", who="a", why="")
    worse = release(tmp_path / "b", der=20.6, shift=0.1)
    with pytest.raises(
        RegistryError, match=r"local DER, test is 20\.6 %, 1\.0\.0 in prod has 20 %; at most 0\.5 points"
    ):
        publish(registry, worse, "1.0.2", TERMS)
    with pytest.raises(RegistryError, match="they do not compare"):
        publish(registry, release(tmp_path / "c", der=1.0, what="another"), "1.0.2", TERMS)
    with pytest.raises(RegistryError, match="the scores are about 'nothing'"):
        publish(registry, release(tmp_path / "d"), "1.0.2", TERMS)
    with pytest.raises(RegistryError, match="local DER, test is nan %"):
        publish(registry, release(tmp_path / "e", der=float("nan")), "1.0.2", TERMS)
    publish(registry, worse, "1.0.2", replace(TERMS, tolerances=Tolerances(1.0)))
    publish(registry, worse, "1.0.3", replace(TERMS, waived={"der": "new test set"}))
    publish(registry, worse, "1.0.4", replace(TERMS, channel="canary"))


def with_record(folder: Path, **record: object) -> Path:
    content = json.loads((folder / "tiny.json").read_text())
    (folder / "tiny.json").write_text(json.dumps({**content, **record}))
    return folder


def test_models_that_the_record_is_not_about_are_refused(registry: Registry, tmp_path: Path) -> None:
    folder = release(tmp_path / "a")
    own = {"path": "tiny.onnx", "sha256": hash_file(folder / "tiny.onnx")}
    with_record(folder, variants={"fp32": own})
    left_over = contracted_model(tmp_path / "b", shift=0.5)
    (folder / "tiny.int8.onnx").write_bytes(left_over.read_bytes())
    with pytest.raises(RegistryError, match=r"tiny\.int8\.onnx is none of the variants that tiny\.json is about"):
        publish(registry, folder, "1.0.0", TERMS)
    (folder / "tiny.int8.onnx").unlink()
    with_record(folder, variants={"fp32": {**own, "sha256": "0" * 64}})
    with pytest.raises(RegistryError, match=r"tiny\.onnx is not the file that tiny\.json is about; export again"):
        publish(registry, folder, "1.0.0", TERMS)
    publish(registry, with_record(folder, variants={"fp32": own}), "1.0.0", TERMS)


def test_the_error_rate_of_whole_recordings_is_held_to_that_of_the_channel(registry: Registry, tmp_path: Path) -> None:
    def whole(percent: float, sha256: str = "1") -> dict[str, object]:
        folders = {"rooms": {"der_percent": percent, "recordings": 3}, "silence": {"recordings": 1}}
        return {"recordings": {"what": "DER of whole recordings", "sha256": sha256, "folders": folders}}

    folder = with_record(release(tmp_path / "a"), evaluation=whole(30.0))
    manifest = publish(registry, folder, "1.0.0", TERMS)
    assert dict(manifest.scores) == {"DER, rooms": 30.0}
    assert manifest.scored_on == "DER of whole recordings; 1"
    registry.promote("1.0.0", "prod", who="x", why="y")
    with pytest.raises(RegistryError, match=r"DER, rooms is 30\.6 %, 1\.0\.0 in prod has 30 %"):
        publish(registry, with_record(folder, evaluation=whole(30.6)), "1.0.1", TERMS)
    with pytest.raises(RegistryError, match="so they do not compare"):
        publish(registry, with_record(folder, evaluation=whole(30.0, "2")), "1.0.1", TERMS)


def test_an_unreadable_record_is_refused(registry: Registry, tmp_path: Path) -> None:
    folder = release(tmp_path / "a")
    (folder / "tiny.json").write_text('{"evaluation": {"test": {}}}')
    with pytest.raises(RegistryError, match="is not a readable export record"):
        publish(registry, folder, "1.0.0", TERMS)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", "manifest.json", "a\\b"])
def test_a_manifest_that_names_files_elsewhere_is_refused(name: str) -> None:
    entry = PublishedFile("0" * 64, 1, "files/1.0.0/0/x")
    for files in ({name: entry}, {"x": replace(entry, path=name)}):
        if list(files) == ["x"] and name == "manifest.json":
            continue
        with pytest.raises(IntegrityError, match="outside of its folder"):
            manifest_from_bytes(Manifest("tiny", "1.0.0", files).to_bytes(), "x")


def test_a_thousand_versions_are_listed_in_their_order_with_one_look_at_the_folder(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "registry" / NAME / "versions"
    folder.mkdir(parents=True)
    for number in range(1_000):
        (folder / f"1.{number}.0.json").touch()
    looks: list[str] = []
    listing = Store._list

    def look(store: Store, at: str) -> list[tuple[str, str]]:
        looks.append(at)
        return listing(store, at)

    monkeypatch.setattr(Store, "_list", look)
    monkeypatch.setattr(Store, "read", lambda *_: pytest.fail("nothing need be read to list"))
    assert [entry.version for entry in registry.list()] == [f"1.{number}.0" for number in range(1_000)]
    assert len(looks) == 3


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["voiceflow", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    return message


def run(*arguments: str, url: str) -> str:
    result = CliRunner().invoke(cli.app, arguments, env={"VOICEFLOW_REGISTRY": url}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands_from_release_to_rollback(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/registry"
    folder = release(tmp_path / "a", promised=(CPU_10_MS,))
    session = ResultStore(tmp_path / "results")
    session.write_session(Session("2026-01-01T00:00:00Z", "pytest", "strict", 0.99, {}))
    session.write_result(measured(folder), 0)
    output = run("publish", str(folder), "1.0.0", "--results", str(tmp_path / "results"), "--who", "a", url=url)
    assert "published tiny 1.0.0: 6 files, the first version\n  cpu · P99 <= 10000000 ns: MET, " in output
    second = release(tmp_path / "b", shift=0.1)
    waived = ("--waive", "der=none yet")
    output = run("publish", str(second), "2.0.0", *waived, url=url)
    assert "published tiny 2.0.0: 6 files, major against 1.0.0" in output
    assert run("promote", "tiny@1.0.0", "--why", "first", url=url) == "prod of tiny is 1.0.0 now (promotion 1)\n"
    run("promote", "tiny@2.0.0", url=url)
    assert run("rollback", "tiny", url=url) == "prod of tiny is 1.0.0 again (promotion 3)\n"
    run("yank", "tiny@2.0.0", "--why", "slow", url=url)
    assert run("list", "tiny", url=url) == "1.0.0  prod\n2.0.0  yanked: slow\n"
    assert "all as published" in run("fetch", "tiny@prod", "--out", str(tmp_path / "out"), url=url)
    for what in ("tiny@1.0.0", str(tmp_path / "out")):
        assert run("verify", what, url=url) == "tiny 1.0.0: 6 files, all as published\n"
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["version"] == "1.0.0"
    assert "\n- cpu · P99 <= 10000000 ns: MET, " in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_wrong_usage_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VOICEFLOW_REGISTRY", raising=False)
    at = ("--registry", str(tmp_path / "registry"))
    assert "write MODEL@VERSION" in refused(monkeypatch, capsys, "promote", "tiny", *at)
    assert "has no version of tiny" in refused(monkeypatch, capsys, "list", "tiny", *at)
    assert "no registry is named" in refused(monkeypatch, capsys, "verify", "tiny@1.0.0")
    assert "yanking needs a reason" in refused(monkeypatch, capsys, "yank", "tiny@1.0.0", "--why", "", *at)
    folder = contracted_model(tmp_path / "a").parent
    assert "write GATE=REASON" in refused(monkeypatch, capsys, "publish", str(folder), "1.0.0", "--waive", "der", *at)
    assert "contract.json cannot be read" in refused(monkeypatch, capsys, "publish", str(tmp_path), "1.0.0", *at)
    assert "is not a semantic version" in refused(monkeypatch, capsys, "publish", str(folder), "1.0", *at)
