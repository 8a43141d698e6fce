"""Loads on real servers on loopback. What is asserted is what was sent and answered, never how long it took."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.contract_models import NAME, contracted_model
from tests.v2_server import serving
from tests.voice_server import VoiceServer, voicing
from voiceflow_ml import cli
from voiceflow_ml.client import AsyncClient, Client, exchanges
from voiceflow_ml.errors import BusyError, ConfigError, UnreachableError
from voiceflow_ml.load import Kind, LoadPlan, Trial
from voiceflow_ml.load.delay_proxy import delay_proxy
from voiceflow_ml.load.delays import DelayProfile
from voiceflow_ml.load.generator import job_of, run_apart, run_in_loop
from voiceflow_ml.load.plan import poisson_offsets_ns
from voiceflow_ml.load.trial import trial_from_dict
from voiceflow_ml.units import NS_PER_MS

SILENCE = np.zeros(1_600, dtype=np.float32)
BRIEF = {"duration_ns": 300 * NS_PER_MS, "warmup_ns": 100 * NS_PER_MS, "timeout_s": 5.0}
SHORT_WAY = DelayProfile("a short way", 2 * NS_PER_MS, 4 * NS_PER_MS)


def loaded(url: str, plan: LoadPlan, network: DelayProfile | None = None) -> Trial:
    body = bytes(16_000 * 2) if plan.kind is Kind.STREAMS else exchanges.diarize(SILENCE)
    job = job_of(url, plan, body, cpus=(), **({"network": network} if network else {}))
    return asyncio.run(run_in_loop(job))


def test_an_open_loop_sends_every_request_of_its_schedule_and_none_twice() -> None:
    plan = LoadPlan(Kind.OPEN_LOOP, rate_per_s=200, seed=4, **BRIEF)  # type: ignore[arg-type]
    server = VoiceServer()
    with voicing(server) as url:
        trial = loaded(url, plan)
    offsets_ns = poisson_offsets_ns(200, plan.total_ns, 4)
    assert len(server.seen) == len(offsets_ns)
    assert [shot.intended_ns for shot in trial.shots] == [at_ns for at_ns in offsets_ns if at_ns >= plan.warmup_ns]
    assert trial.planned == len(trial.shots)
    assert all(shot.intended_ns <= shot.sent_ns < shot.done_ns for shot in trial.shots)
    assert trial.versions == {"1.2.0": len(trial.shots)}
    assert {(shot.server_ns, shot.model_ns) for shot in trial.shots} == {(250_000, 3_500_000)}


def test_a_closed_loop_has_no_more_requests_under_way_than_callers() -> None:
    plan = LoadPlan(Kind.CLOSED_LOOP, connections=3, **BRIEF)  # type: ignore[arg-type]
    with voicing(VoiceServer()) as url:
        trial = loaded(url, plan)
    edges = sorted([(shot.sent_ns, 1) for shot in trial.shots] + [(shot.done_ns, -1) for shot in trial.shots])
    assert max(np.cumsum([step for _, step in edges])) == 3
    assert trial.statuses == {200: len(trial.shots)}
    assert trial.is_valid


def test_streams_send_each_chunk_and_get_an_answer_to_each() -> None:
    plan = LoadPlan(Kind.STREAMS, streams=3, hop_ns=50 * NS_PER_MS, **BRIEF)  # type: ignore[arg-type]
    with voicing(VoiceServer()) as url:
        trial = loaded(url, plan)
    assert trial.planned == 18
    assert trial.statuses == {200: 18}
    assert trial.versions == {"1.2.0": 18}


def test_turned_away_and_failed_requests_are_counted_for_what_they_are() -> None:
    plan = LoadPlan(Kind.OPEN_LOOP, rate_per_s=200, duration_ns=300 * NS_PER_MS, warmup_ns=0)
    with voicing(VoiceServer(busy=10, status=500)) as url:
        trial = loaded(url, plan)
    assert trial.statuses == {500: len(trial.shots) - 10, 503: 10}
    assert trial.failures == len(trial.shots) - 10


def test_nobody_there_is_no_answer_and_not_a_crash() -> None:
    plan = LoadPlan(Kind.CLOSED_LOOP, connections=2, duration_ns=50 * NS_PER_MS, warmup_ns=0)
    trial = loaded("http://127.0.0.1:9", plan)
    assert trial.statuses == {0: len(trial.shots)}
    assert trial.failures == len(trial.shots) > 0


def test_streams_that_are_refused_are_an_error() -> None:
    with voicing(VoiceServer(busy=1)) as url, pytest.raises(BusyError, match="too many streams"):
        loaded(url, LoadPlan(Kind.STREAMS, streams=1, **BRIEF))  # type: ignore[arg-type]


def test_everything_passes_a_played_network_unchanged_and_in_order() -> None:
    recording = np.sin(np.arange(16_000 * 20) / 9.0)

    async def through(url: str) -> None:
        async with delay_proxy(url, SHORT_WAY, seed=1) as proxied, AsyncClient(proxied) as client:
            found = await asyncio.gather(*(client.diarize(recording) for _ in range(4)))
            assert [answer.version for answer in found] == ["1.2.0"] * 4
            async with client.stream() as stream:
                for _ in range(5):
                    assert await stream.feed(SILENCE) == ()
                assert len(await stream.finish()) == 2

    server = VoiceServer()
    with voicing(server) as url:
        asyncio.run(through(url))
    assert server.seen == [("/v1/diarize", "audio/wav", 44 + 2 * recording.size)] * 4


def test_more_than_fits_on_the_wire_waits_and_arrives() -> None:
    """Far more than the proxy holds at once, both ways."""
    sent = np.random.default_rng(2).bytes(12 << 20)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        await writer.drain()
        writer.close()

    async def through() -> bytes:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, limit=1 << 24)
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with delay_proxy(f"http://127.0.0.1:{port}", SHORT_WAY) as proxied:
                reader, writer = await asyncio.open_connection("127.0.0.1", int(proxied.rpartition(":")[2]))
                writer.write(sent)
                writer.write_eof()
                received = await reader.read()
                writer.close()
                return received

    assert asyncio.run(through()) == sent


def test_a_service_that_is_not_there_is_not_there_behind_a_network_either() -> None:
    async def through() -> None:
        async with delay_proxy("http://127.0.0.1:9", SHORT_WAY) as proxied, AsyncClient(proxied) as client:
            await client.live()

    with pytest.raises(UnreachableError):
        asyncio.run(through())


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "http://", "127.0.0.1:80"])
def test_what_no_network_can_be_played_in_front_of_is_refused(url: str) -> None:
    async def through() -> None:
        async with delay_proxy(url, SHORT_WAY):
            pass

    with pytest.raises(ConfigError, match="cannot be put behind a played network"):
        asyncio.run(through())


def test_a_generator_in_a_process_of_its_own_brings_back_every_request() -> None:
    plan = LoadPlan(Kind.OPEN_LOOP, rate_per_s=100, **BRIEF)  # type: ignore[arg-type]
    server = VoiceServer()
    with voicing(server) as url:
        trial = run_apart(job_of(url, plan, exchanges.diarize(SILENCE), network=SHORT_WAY))
    assert len(trial.shots) == trial.planned
    assert trial.facts["network"] == SHORT_WAY.description
    assert trial.facts["request"].startswith("POST /v1/diarize, 3244 bytes")
    assert trial.facts["generator's priority"] == ("real time" if goes_first() else "that of any other process")
    # The process that asked for the trial is what it was.
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def goes_first() -> bool:
    """Whether a process may go before others here: asked by other means than the generator's."""
    tried = subprocess.run(["chrt", "--rr", "1", "true"], capture_output=True, check=False)
    return tried.returncode == 0 and len(os.sched_getaffinity(0)) > 1


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return contracted_model(tmp_path_factory.mktemp("release"))


def test_the_command_asks_the_server_what_to_send_and_writes_every_request(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "trial.json"
    options = ["--model", NAME, "--connections", "2", "--duration", "200ms", "--warmup", "0s", "--json", str(file)]
    with serving(model, NAME) as (url, _):
        metadata = Client(url)
        with metadata:
            shape = "x".join(str(max(1, size)) for size in metadata.metadata(NAME)["inputs"][0]["shape"])
            name = metadata.metadata(NAME)["inputs"][0]["name"]
        result = CliRunner().invoke(cli.app, ["load", url, *options, "--input", f"{name}={shape}"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("VALID  2 connections, closed-loop, 200 ms after 0 ns of warm-up")
    trial = trial_from_dict(json.loads(file.read_text()))
    assert trial.statuses == {200: len(trial.shots)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "exactly one of --rate 80"),
        (["--rate", "5", "--streams", "1"], "exactly one of --rate 80"),
        (["--rate", "5", "--network", "moon"], "unknown network 'moon'"),
        (["--streams", "1", "--input", "x=1"], "--input goes with an inference"),
        (["--rate", "5", "--duration", "5"], "5"),
    ],
)
def test_wrong_usage_is_said_in_one_sentence(options: list[str], words: str) -> None:
    result = CliRunner().invoke(cli.app, ["load", "http://127.0.0.1:9", *options])
    assert words in str(result.exception)


def test_the_command_fails_when_requests_do(tmp_path: Path) -> None:
    wav = tmp_path / "speech.wav"
    wav.write_bytes(exchanges.as_wav(SILENCE, 16_000))
    options = ["--connections", "1", "--duration", "100ms", "--warmup", "0s", "--wav", str(wav)]
    with voicing(VoiceServer(status=500)) as url:
        assert CliRunner().invoke(cli.app, ["load", url, *options]).exit_code == 1
    with voicing(VoiceServer()) as url:
        streams = ["--streams", "1", *options[2:]]
        result = CliRunner().invoke(cli.app, ["load", url, *streams, "--hop", "50ms"])
        # Whether the generator was punctual is the machine's doing.
        assert result.exit_code in (0, 4)
        assert "chunks     2: 2 x 200" in result.output
