"""The container files: linted, hardened, and every query of theirs answered by the metrics of the real server."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import promql_parser
import pytest
from packaging.requirements import Requirement
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML
from websockets.sync.client import connect

from tests.servers import Local, ask, local_server
from voiceflow_ml.hardware.cuda_provider import CUDA_PROVIDER_OPTIONS
from voiceflow_ml.service.settings import ServeSettings
from voiceflow_ml.service.swaps import Kind

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile.gpu"
COMPOSE = ROOT / "docker-compose.gpu.yml"
DEPLOY = ROOT / "deploy"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "voiceflow.json"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"


def lint(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a linter of this environment."""
    command = [Path(sys.executable).parent / tool, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def hadolint(file: Path) -> subprocess.CompletedProcess[str]:
    return lint("hadolint", "--no-fail", "--format=json", file)


def tally(file: Path) -> subprocess.CompletedProcess[str]:
    return lint("tally", "lint", "--slow-checks=off", "--no-color", file)


def compose_schema(file: Path) -> subprocess.CompletedProcess[str]:
    return lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)


def test_the_dockerfile_is_clean() -> None:
    assert json.loads(hadolint(DOCKERFILE).stdout) == []
    done = tally(DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_the_compose_file_is_one() -> None:
    done = compose_schema(COMPOSE)
    assert done.returncode == 0, done.stdout


def test_the_linters_find_what_they_are_there_for(tmp_path: Path) -> None:
    worse = tmp_path / "Dockerfile"
    worse.write_text(
        DOCKERFILE.read_text().replace("USER 10001:10001", "USER root").replace("${BASE}", "python:latest")
    )
    assert {"DL3002", "DL3007"} <= {found["code"] for found in json.loads(hadolint(worse).stdout)}
    assert tally(worse).returncode != 0
    compose = tmp_path / "docker-compose.yml"
    compose.write_text(COMPOSE.read_text().replace("read_only: true", "readonly: true"))
    assert compose_schema(compose).returncode != 0


def test_an_image_is_named_with_a_tag_that_stays() -> None:
    images = re.findall(r"image: (\S+)", COMPOSE.read_text()) + re.findall(r"ARG BASE=(\S+)", DOCKERFILE.read_text())
    assert len(images) == 4
    ours, *others = sorted(images, key=lambda image: image != "voiceflow-ml-gpu")
    assert ours == "voiceflow-ml-gpu"
    for image in others:
        assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+(\.\d+)?(-[\w-]+)?", image), image


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def compose() -> Any:
    return read_yaml(COMPOSE)


@pytest.mark.parametrize("name", ["voiceflow", "prometheus", "grafana"])
def test_a_service_can_do_no_more_than_it_must(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert all(volume.endswith(":ro") for volume in service.get("volumes", []) if volume.startswith("."))
    assert {"mem_limit", "pids_limit"} <= set(service)


def test_the_service_gets_one_gpu() -> None:
    (device,) = compose()["services"]["voiceflow"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_what_is_mounted_and_copied_is_there() -> None:
    for service in compose()["services"].values():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (ROOT / volume.split(":")[0]).is_dir()
    ignored = (ROOT / "Dockerfile.gpu.dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE.read_text(), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source.removeprefix('./')}" in ignored


def test_the_image_serves_with_the_build_for_cuda_alone() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    cpu = {Requirement(text).name: text for text in (*extras["serve"], *extras["diarize"])}
    gpu = {Requirement(text).name: text for text in extras["serve-gpu"]}
    assert cpu.pop("onnxruntime")
    assert cpu.pop("voiceflow-ml")
    assert gpu.pop("voiceflow-ml") == "voiceflow-ml[gpu]"
    assert gpu == cpu
    assert ".[serve-gpu,registry]" in DOCKERFILE.read_text()


def test_every_option_of_the_provider_has_its_reason_in_the_document() -> None:
    text = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
    for option in CUDA_PROVIDER_OPTIONS:
        assert f"| `{option.name}` | `{option.value}` | {option.reason} |" in text


@dataclass(frozen=True)
class Asked:
    """One selector of a query: a metric, the values it asks of labels, and the labels it is grouped by."""

    where: str
    metric: str
    values: dict[str, tuple[str, str]]
    grouped: frozenset[str]


def queries() -> Iterator[tuple[str, str]]:
    """(where, query) of every panel and every rule."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for rule in read_yaml(ALERTS)["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"]


def asked(where: str, query: str) -> Iterator[Asked]:
    """The selectors of a query."""
    # Grafana's variables are text that it replaces before Prometheus sees the query.
    plain = query.replace("$__rate_interval", "1m").replace("$model", ".*")
    yield from selectors(where, promql_parser.parse(plain), frozenset())


def selectors(where: str, node: Any, grouped: frozenset[str]) -> Iterator[Asked]:
    """Walk the syntax tree."""
    modifier = getattr(node, "modifier", None)
    grouped |= frozenset(getattr(getattr(modifier, "matching", modifier), "labels", None) or ())
    kind = type(node).__name__
    if kind == "MatrixSelector":
        yield from selectors(where, node.vector_selector, grouped)
    elif kind == "VectorSelector":
        values = {each.name: (str(each.op), each.value) for each in node.matchers.matchers}
        yield Asked(where, node.name, values, grouped)
    for part in ("lhs", "rhs", "expr"):
        if hasattr(node, part):
            yield from selectors(where, getattr(node, part), grouped)
    for argument in getattr(node, "args", []):
        yield from selectors(where, argument, grouped)


ADDED_BY_PROMETHEUS = {"instance", "job"}
Samples = dict[str, list[dict[str, str]]]
"""Sample name -> the labels of each sample."""


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Local]:
    with local_server() as server:
        yield server


@pytest.fixture(name="samples", scope="module")
def _samples(server: Local) -> Samples:
    """All metrics of the real server, after one recording, one chunk of a stream and one who has no token."""
    assert ask(server.url, "/v1/admin/rollback", b"").status == 401
    audio = np.zeros(16_000, dtype="<i2").tobytes()
    assert ask(server.url, "/v1/diarize", audio, {"Content-Type": "audio/x-raw"}).status == 200
    with connect(f"{server.url.replace('http', 'ws')}/v1/stream", open_timeout=20, close_timeout=20) as socket:
        socket.send(json.dumps({"type": "start", "sample_rate_hz": 16_000}))
        socket.recv(timeout=20)
        socket.send(audio)
        socket.recv(timeout=20)
    found: Samples = {}
    for family in text_string_to_metric_families(ask(server.url, "/metrics").body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(dict(sample.labels))
    return found


@pytest.mark.parametrize(("where", "query"), list(queries()), ids=lambda text: text[:40])
def test_a_query_asks_for_metrics_and_labels_that_the_server_has(where: str, query: str, samples: Samples) -> None:
    known = {**samples, "up": [{"instance": "", "job": "voiceflow"}]}
    selectors = list(asked(where, query))
    assert selectors
    for each in selectors:
        assert each.metric in known, f"{where}: the server has no metric {each.metric}"
        labels = set().union(*known[each.metric]) | ADDED_BY_PROMETHEUS
        assert set(each.values) | each.grouped <= labels, f"{where}: {each.metric} has the labels {sorted(labels)}"
        for label, (operator, value) in each.values.items():
            if operator.endswith("Equal") and not operator.endswith("NotEqual"):
                assert value in {sample.get(label) for sample in known[each.metric]}, f"{where}: {label}={value}"


def test_the_kinds_of_swaps_that_an_alert_waits_for_exist(samples: Samples) -> None:
    (query,) = [query for where, query in queries() if where == "VoiceflowVersionRefused"]
    (selector,) = asked("", query)
    assert set(selector.values["kind"][1].split("|")) <= set(Kind)
    assert samples["voiceflow_swaps_total"][0]["kind"] in set(Kind)


def test_every_metric_of_the_server_is_looked_at(samples: Samples) -> None:
    ours = {
        name for name in samples if name.startswith("voiceflow_") and not name.endswith(("_created", "_count", "_sum"))
    }
    assert ours == {each.metric for where, query in queries() for each in asked(where, query)} - {"up"}


def test_a_query_about_nothing_would_be_found(samples: Samples) -> None:
    (wrong,) = asked("", 'sum by (colour) (rate(voiceflow_stage_secs_bucket{stage="total"}[5m]))')
    assert wrong.metric not in samples
    assert wrong.grouped == {"colour"}


def test_the_legends_name_labels_that_their_query_leaves() -> None:
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            (first, *_) = asked("", target["expr"])
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert not first.grouped or named <= first.grouped, panel["title"]


def test_a_dashboard_is_laid_out_without_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_prometheus_and_grafana_are_told_of_each_other_and_of_the_service() -> None:
    services = compose()["services"]
    prometheus = read_yaml(DEPLOY / "prometheus" / "prometheus.yml")
    assert prometheus["scrape_configs"][0]["static_configs"] == [{"targets": ["voiceflow:8000"]}]
    assert prometheus["rule_files"] == [ALERTS.name]
    (source,) = read_yaml(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert {"voiceflow", "prometheus"} <= set(services)
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
    assert services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].endswith(DASHBOARD.name)


def health(port: int) -> int:
    """Exit status of the image's health check, asked of this port."""
    match = re.search(r"HEALTHCHECK[^\[]*(\[.*\])", DOCKERFILE.read_text(encoding="utf-8"))
    assert match
    _, *arguments = json.loads(match[1].replace(":8000/", f":{port}/"))
    return subprocess.run([sys.executable, *arguments], capture_output=True, check=False).returncode


def test_the_health_check_tells_a_ready_server_from_none(server: Local) -> None:
    port = int(server.url.rpartition(":")[2])
    assert health(port) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert health(free.getsockname()[1]) != 0


def test_the_variables_of_the_image_are_settings_of_the_server() -> None:
    names = re.findall(r"VOICEFLOW_(\w+)=", DOCKERFILE.read_text(encoding="utf-8"))
    names += [name.removeprefix("VOICEFLOW_") for name in compose()["services"]["voiceflow"]["environment"]]
    assert {name.lower() for name in names} <= set(ServeSettings.model_fields)
