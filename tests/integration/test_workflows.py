"""The workflows of this project, and the one that `voiceflow init` writes: linted, pinned, safe with strangers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.auth import identity_pool

from tests.unit.result_set import INVALID, MET, RESULTS, SESSION
from voiceflow_ml.results.record import Result
from voiceflow_ml.results.store import ResultStore

ROOT = Path(__file__).parents[2]
OURS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = [*OURS, ROOT / "reports" / "templates" / "init" / "latency.yml"]
GATE = ROOT / ".github" / "workflows" / "gate.yml"
UPDATE = ROOT / ".github" / "workflows" / "model-update.yml"
COMMENT = ROOT / ".github" / "workflows" / "comment.yml"
USES = re.compile(r"uses: (?P<action>[\w./-]+)@(?P<commit>\S+)(?P<version>.*)")

every_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)


def lint(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a linter of this environment."""
    command = [Path(sys.executable).parent / tool, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def check_schema(workflow: Path) -> subprocess.CompletedProcess[str]:
    return lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", workflow)


def check_security(workflow: Path) -> subprocess.CompletedProcess[str]:
    return lint("zizmor", "--offline", "--persona=pedantic", "--no-progress", workflow)


def jobs(text: str) -> dict[str, str]:
    """Name -> text of each job."""
    parts = re.split(r"^  ([\w-]+):$", text.split("\njobs:\n")[1], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def script_of(workflow: Path, step: str) -> str:
    """The shell script of a step."""
    after = workflow.read_text(encoding="utf-8").split(f"- name: {step}\n")[1].split("run: |\n")[1]
    indent = re.match(" *", after)
    assert indent
    lines = after.splitlines()
    end = next((at for at, line in enumerate(lines) if line and not line.startswith(indent[0])), len(lines))
    return textwrap.dedent("\n".join(lines[:end]))


def test_there_are_workflows_to_look_at() -> None:
    assert [path.name for path in OURS] == ["comment.yml", "gate.yml", "model-update.yml"]


@every_workflow
def test_a_workflow_is_what_github_reads(workflow: Path) -> None:
    done = check_schema(workflow)
    assert done.returncode == 0, done.stdout + done.stderr


@every_workflow
def test_a_workflow_opens_no_door(workflow: Path) -> None:
    done = check_security(workflow)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linters_find_what_they_are_there_for(tmp_path: Path) -> None:
    text = (ROOT / ".github" / "workflows" / "gate.yml").read_text(encoding="utf-8")
    worse = tmp_path / "worse.yml"
    worse.write_text(text.replace("runs-on:", "runs_on:"), encoding="utf-8")
    assert check_schema(worse).returncode != 0
    worse.write_text(text.replace("make smoke", 'echo "${{ github.head_ref }}"'), encoding="utf-8")
    done = check_security(worse)
    assert done.returncode != 0
    assert "template-injection" in done.stdout


def test_actions_are_named_by_commit_and_by_the_same_one_everywhere() -> None:
    found = [match for path in WORKFLOWS for match in USES.finditer(path.read_text(encoding="utf-8"))]
    assert found
    for match in found:
        assert re.fullmatch(r"[0-9a-f]{40}", match["commit"]), match[0]
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", match["version"]), match[0]
    pins = {(match["action"], match["commit"], match["version"]) for match in found}
    assert len(pins) == len({match["action"] for match in found})


@every_workflow
def test_a_job_ends_and_a_machine_of_ours_runs_no_code_of_strangers(workflow: Path) -> None:
    found = jobs(workflow.read_text(encoding="utf-8"))
    assert found
    for text in found.values():
        assert "timeout-minutes:" in text
        if "vars.T4_RUNNER }}" in text:
            assert "vars.T4_RUNNER != ''" in text
            # By hand and from main, or never for a fork.
            by_hand = "pull_request" not in workflow.read_text(encoding="utf-8") and "refs/heads/main" in text
            assert by_hand or "github.event.pull_request.head.repo.full_name == github.repository" in text


def test_the_comment_runs_nothing_of_the_pull_request() -> None:
    text = COMMENT.read_text(encoding="utf-8")
    assert "uses:" not in text
    assert re.findall(r"^permissions: (.*)$", text, re.MULTILINE) == ["{}"]
    assert sorted(re.findall(r"^      ([\w-]+): write", text, re.MULTILINE)) == ["pull-requests"]
    # Expressions stand in env alone, where a value is data; in a script it would be program text.
    assert "${{" not in "".join(script_of(COMMENT, step) for step in ("find the pull request", *_STEPS))


ON_T4 = replace(INVALID, limits_ns=MET.limits_ns)


def session_folder(folder: Path, results: tuple[Result, ...], machine: str) -> None:
    """What a job leaves as its artifact: one session below ``results``."""
    session = replace(SESSION, planned=(MET, ON_T4), declared=(), environment={"CPU": machine})
    store = ResultStore(folder / "results" / "20260102T030405Z-7")
    store.write_session(session)
    for place, result in enumerate(results):
        store.write_result(result, place)


def join(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the step of the gate that joins what the machines measured."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    command = ["bash", "-eo", "pipefail", "-c", script_of(GATE, "join them")]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_one_job_joins_what_a_cpu_and_a_t4_measured(tmp_path: Path) -> None:
    session_folder(tmp_path / "machines" / "report-cpu", (RESULTS[0],), "a CPU runner")
    session_folder(tmp_path / "machines" / "report-t4", (replace(RESULTS[0], planned=ON_T4),), "a T4 runner")
    done = join(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    report = (tmp_path / "joint" / "PERFORMANCE_ANALYSIS.md").read_text(encoding="utf-8")
    assert "Every declared promise was measured." in report
    assert "fast-cnn · model-inference · cpu" in report
    assert "wav2vec2 · model-inference · cuda-t4" in report
    assert (tmp_path / "summary.md").read_text() == (tmp_path / "joint" / "comment.md").read_text()


def test_without_a_t4_the_report_is_of_the_cpu_and_says_what_is_missing(tmp_path: Path) -> None:
    session_folder(tmp_path / "machines" / "report-cpu", (RESULTS[0],), "a CPU runner")
    done = join(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    comment = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "1 of 2 declared promises has no measurement: wav2vec2 · model-inference · cuda-t4" in comment
    for name in ("performance.html", "bencher.json", "openmetrics.txt"):
        assert (tmp_path / "joint" / name).is_file()


def test_only_the_last_job_of_a_model_update_can_write_anywhere() -> None:
    text = UPDATE.read_text(encoding="utf-8")
    found = jobs(text)
    assert list(found) == ["export", "sla-t4", "release"]
    assert re.findall(r"^permissions: (.*)$", text, re.MULTILINE) == ["{}"]
    assert [name for name, job in found.items() if re.search(r": write\b", job)] == ["release"]
    assert re.findall(r"^      ([\w-]+): write", found["release"], re.MULTILINE) == ["id-token"]
    assert "environment: model-registry" in found["release"]
    assert "secrets." not in text
    assert "pull_request" not in text
    # What a person types is data: it stands in env alone.
    for step in re.findall(r"run: (?:\|\n)?((?:.|\n)*?)(?=\n      - |\Z)", text):
        assert "${{ inputs." not in step.partition("env:")[0]


def test_the_job_says_who_it_is_without_a_key(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PROVIDER": "projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "ACCOUNT": "registry@my-project.iam.gserviceaccount.com",
        "CREDENTIALS": str(tmp_path / "registry.json"),
        "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example/?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "the job's own",
    }
    command = ["bash", "-eo", "pipefail", "-c", script_of(UPDATE, "say who this job is")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    file = tmp_path / "registry.json"
    assert file.stat().st_mode & 0o077 == 0
    # Google's own library reads it.
    read: Any = identity_pool.Credentials.from_file  # the library does not type it
    credentials = read(str(file))
    assert credentials.service_account_email == "registry@my-project.iam.gserviceaccount.com"
    assert "the job's own" not in done.stdout + done.stderr


def update_command(folder: Path) -> list[str]:
    """The words with which the last job calls the pipeline, by a stand-in for it."""
    voiceflow = folder / "bin" / "voiceflow"
    voiceflow.parent.mkdir(exist_ok=True)
    voiceflow.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > words\n', encoding="utf-8")
    voiceflow.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{voiceflow.parent}:{os.environ['PATH']}",
        "VERSION": "",
        "GITHUB_ACTOR": "a b",
    }
    command = ["bash", "-eo", "pipefail", "-c", script_of(UPDATE, "measure on this CPU, publish, try, promote")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "words").read_text(encoding="utf-8").split("\n")[:-1]


def test_the_update_is_the_local_command_with_the_verdicts_of_the_t4_where_there_are_any(tmp_path: Path) -> None:
    words = ["pipeline", "run", "update", "--work", "work", "--sla", "sla.toml", "--version", "", "--who", "a b"]
    assert update_command(tmp_path) == words
    (tmp_path / "results-t4" / "results").mkdir(parents=True)
    assert update_command(tmp_path) == [*words, "--results", "results-t4"]


_STEPS = ("read the comment", "post it")


def read_comment(tmp_path: Path, **members: bytes) -> subprocess.CompletedProcess[str]:
    """Run the step that reads the artifact, with a stand-in for GitHub that hands out one of these members."""
    with zipfile.ZipFile(tmp_path / "artifact", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.md", content)
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text("#!/bin/sh\ncat artifact\n", encoding="utf-8")
    gh.chmod(0o755)
    environment = {**os.environ, "PATH": f"{gh.parent}:{os.environ['PATH']}", "GH_REPO": "o/r", "ARTIFACT": "1"}
    command = ["bash", "-eo", "pipefail", "-c", script_of(COMMENT, "read the comment")]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


def body(folder: Path) -> str:
    content = json.loads((folder / "comment.json").read_text(encoding="utf-8"))
    assert list(content) == ["body"]
    return str(content["body"])


def test_a_comment_is_passed_on_as_text_and_says_whose_it_is(tmp_path: Path) -> None:
    hostile = "| `$(touch pwned)` | ${{ github.token }} | END\nEND\n\"'\\ \N{GRINNING FACE} @everyone\n"
    done = read_comment(tmp_path, comment=hostile.encode())
    assert done.returncode == 0, done.stderr
    first, *rest = body(tmp_path).split("\n")
    assert first == "<!-- voiceflow-ml: latency -->"
    assert "\n".join(rest).replace("\N{ZERO WIDTH SPACE}", "").startswith(hostile)
    assert "@everyone" not in body(tmp_path)
    assert "this pull request's own code" in body(tmp_path)
    assert not (tmp_path / "pwned").exists()


def test_a_comment_is_cut_at_a_size_that_github_takes(tmp_path: Path) -> None:
    # One byte, then characters of two bytes: the cut goes through the middle of one. Zeros unpack to far more.
    done = read_comment(tmp_path, comment=b"x" + "\N{LATIN SMALL LETTER E WITH ACUTE}".encode() * 20_000_000)
    assert done.returncode == 0, done.stderr
    text = body(tmp_path)
    assert 29_999 <= len(text) < 30_200
    assert set(text.split("\n")[1]) == {"x", "\N{LATIN SMALL LETTER E WITH ACUTE}"}


def test_an_artifact_without_a_comment_posts_nothing(tmp_path: Path) -> None:
    assert read_comment(tmp_path, other=b"text").returncode != 0
    assert not (tmp_path / "comment.json").exists()
