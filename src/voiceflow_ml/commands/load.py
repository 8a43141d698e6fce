"""``voiceflow load``: put a load on a service and say what became of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voiceflow_ml.commands.inputs import FORMS, SPEECH, make_inputs, parse_inputs
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.models.shipped import MODEL_NAME, shipped_speech_path
from voiceflow_ml.units import NS_PER_S, parse_duration_ns

if TYPE_CHECKING:
    from voiceflow_ml.client.exchanges import Exchange
    from voiceflow_ml.inference.ort import InputInfo
    from voiceflow_ml.load.generator import Job
    from voiceflow_ml.load.plan import LoadPlan

FAILED_EXIT_CODE = 1
INVALID_EXIT_CODE = 4

# One line to a paragraph: the terminal wraps it. \b keeps the lines of the examples as they are.
HELP = """\
Put a load on the service at URL, from a process of its own, and say what became of it.

Latency counts from when a request was to be sent: a generator that is held up cannot make a service look fast. How \
late it was is said too, and a generator that was too late makes the trial INVALID.

\b
Examples:
  voiceflow load http://127.0.0.1:8000 --rate 80              open loop: Poisson arrivals
  voiceflow load http://127.0.0.1:8000 --connections 20       closed loop: 20 callers who wait
  voiceflow load http://127.0.0.1:8000 --streams 8            live streams, a chunk every 100 ms
  voiceflow load http://127.0.0.1:8000 --rate 20 --wav meeting.wav --network same-region

\b
Exit status:
  0  a VALID trial without failures (503 from a full queue is no failure)
  1  a VALID trial in which requests failed
  2  wrong usage, or a service that cannot be reached
  4  INVALID: the generator did not send the load that was asked for
"""


def load_command(
    url: Annotated[str, typer.Argument(help="Address of the service.")],
    rate: Annotated[float, typer.Option(min=0, help="Open loop: requests in a second, on average.")] = 0.0,
    connections: Annotated[int, typer.Option(min=0, help="Closed loop: callers who wait for their answers.")] = 0,
    streams: Annotated[int, typer.Option(min=0, help="Live streams at once.")] = 0,
    model: Annotated[str, typer.Option(help="Which model is asked.")] = MODEL_NAME,
    inputs: Annotated[list[str] | None, typer.Option("--input", help=f"{FORMS}; may repeat.")] = None,
    wav: Annotated[Path | None, typer.Option(help="Diarize this file, or stream it, instead of inferring.")] = None,
    duration: Annotated[str, typer.Option(help="How long requests are counted.")] = "10s",
    warmup: Annotated[str, typer.Option(help="How long before that they are sent and not counted.")] = "2s",
    hop: Annotated[str, typer.Option(help="Streams: from one chunk to the next.")] = "100ms",
    network: Annotated[str, typer.Option(help="A network to play between generator and service.")] = "none",
    seed: Annotated[int, typer.Option(help="Of the arrivals and the network.")] = 0,
    timeout: Annotated[str, typer.Option(help="Longest wait for an answer.")] = "30s",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every request into this file.")] = None,
) -> None:
    """Run one trial; the help text is ``HELP``."""
    from voiceflow_ml.load.generator import run_apart  # noqa: PLC0415
    from voiceflow_ml.load.plan import LoadPlan  # noqa: PLC0415
    from voiceflow_ml.load.table import table_lines  # noqa: PLC0415
    from voiceflow_ml.load.trial import trial_to_dict  # noqa: PLC0415

    plan = LoadPlan(
        kind=_kind(rate, connections, streams),
        rate_per_s=rate,
        connections=connections,
        streams=streams,
        duration_ns=parse_duration_ns(duration),
        warmup_ns=parse_duration_ns(warmup, allow_zero=True),
        hop_ns=parse_duration_ns(hop),
        seed=seed,
        timeout_s=parse_duration_ns(timeout) / NS_PER_S,
    )
    trial = run_apart(_job(url, plan, network, model, inputs or [], wav))
    typer.echo("\n".join(table_lines(trial)))
    if json_file is not None:
        write_text_atomic(json_file, json.dumps(trial_to_dict(trial)) + "\n")
    if not trial.is_valid:
        raise typer.Exit(INVALID_EXIT_CODE)
    raise typer.Exit(FAILED_EXIT_CODE if trial.failures else 0)


def _kind(rate: float, connections: int, streams: int) -> Any:
    from voiceflow_ml.load.plan import Kind  # noqa: PLC0415

    sizes = {Kind.OPEN_LOOP: rate, Kind.CLOSED_LOOP: connections, Kind.STREAMS: streams}
    asked = [kind for kind, size in sizes.items() if size > 0]
    if len(asked) != 1:
        raise ConfigError("say how much load: exactly one of --rate 80, --connections 20, --streams 8")
    return asked[0]


def _job(url: str, plan: LoadPlan, network: str, model: str, inputs: list[str], wav: Path | None) -> Job:
    from voiceflow_ml.client import exchanges  # noqa: PLC0415
    from voiceflow_ml.load.delays import find_profile  # noqa: PLC0415
    from voiceflow_ml.load.generator import job_of  # noqa: PLC0415
    from voiceflow_ml.load.plan import Kind  # noqa: PLC0415

    profile = find_profile(network)
    if inputs and (wav is not None or plan.kind is Kind.STREAMS):
        raise ConfigError("--input goes with an inference; leave out it, or --wav and --streams")
    if plan.kind is Kind.STREAMS:
        return job_of(url, plan, _speech(wav or shipped_speech_path(), plan.hop_ns), network=profile)
    exchange: Exchange[Any] = inference_of(url, model, inputs) if wav is None else exchanges.diarize(wav)
    return job_of(url, plan, exchange, network=profile)


def _speech(path: Path, hop_ns: int) -> bytes:
    from voiceflow_ml.audio import read_wav  # noqa: PLC0415
    from voiceflow_ml.client.exchanges import as_pcm16  # noqa: PLC0415
    from voiceflow_ml.models.signal import SAMPLE_RATE_HZ  # noqa: PLC0415

    samples, _ = read_wav(path, sample_rate_hz=SAMPLE_RATE_HZ)
    if samples.size < SAMPLE_RATE_HZ * hop_ns / NS_PER_S:
        raise ConfigError(f"{path}: is shorter than one hop; give a longer recording")
    return as_pcm16(samples)


def inference_of(url: str, model: str, texts: list[str]) -> Exchange[Any]:
    """An inference that a service takes: what it says of the model's inputs, filled as declared.

    Args:
        url: the service's address.
        model: its name.
        texts: of ``--input``; speech for a single waveform when empty.

    Raises:
        ClientError: the service does not say.
        ConfigError: what it says, or what is declared, does not fit.
    """
    from voiceflow_ml.client import Client, exchanges  # noqa: PLC0415

    with Client(url) as client:
        infos = _inputs_of(client.metadata(model), model)
    declared = parse_inputs(texts)
    if not texts and len(infos) == 1 and infos[0].dtype == "float32" and len(infos[0].shape) == 2:
        declared = parse_inputs([f"{infos[0].name}={SPEECH}"])
    arrays, _ = make_inputs(infos, declared)
    return exchanges.infer(model, arrays)


def _inputs_of(metadata: dict[str, Any], model: str) -> list[InputInfo]:
    import numpy as np  # noqa: PLC0415

    from voiceflow_ml.inference.ort import InputInfo  # noqa: PLC0415
    from voiceflow_ml.wire import DTYPES  # noqa: PLC0415

    try:
        return [
            InputInfo(
                str(entry["name"]),
                np.dtype(DTYPES[entry["datatype"]]),
                tuple(size if size > 0 else "" for size in map(int, entry["shape"])),
            )
            for entry in metadata["inputs"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"what the service says of {model} cannot be read ({error!r}); give --wav") from None
