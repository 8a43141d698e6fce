"""``voiceflow serve``: a model behind HTTP and WebSocket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.errors import ConfigError

_HELP = """\
Serve a model: diarization, streams, and the Open Inference Protocol v2.

Every setting can be given by --set NAME=VALUE, by an environment variable VOICEFLOW_NAME, and in a file (--config) as \
NAME = VALUE; the first of them counts. All of them are printed at the start, with where each came from.

\b
Examples:
  voiceflow serve
  voiceflow serve --port 9000 --set queue_length=32
  voiceflow serve --registry gs://bucket/models --model fast-cnn --channel prod
"""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
CONFIG_VARIABLE = "VOICEFLOW_CONFIG"


def serve_command(
    config: Annotated[Path | None, typer.Option(envvar=CONFIG_VARIABLE, help="TOML file with settings.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port (default: 8000); 0 takes a free one.")] = None,
    model: Annotated[
        str | None, typer.Option(help="builtin:fast-cnn (default), a folder, or with --registry a name.")
    ] = None,
    registry: Annotated[str | None, typer.Option(help="file:///folder, gs://... or s3://...")] = None,
    channel: Annotated[str | None, typer.Option(help="Channel of the registry (default: prod).")] = None,
    threads: Annotated[int | None, typer.Option(help="Inference threads (default: one for each core).")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other setting; may repeat.")
    ] = None,
) -> None:
    """Serve until SIGTERM; the help text is ``_HELP``."""
    for variable in _THREAD_VARIABLES:
        # Before numpy is imported: every inference thread has one core, and none for helpers that wait for each other.
        os.environ.setdefault(variable, "1")
    named = {"host": host, "port": port, "model": model, "registry": registry, "channel": channel, "threads": threads}
    flags = {**_pairs(settings or []), **{name: value for name, value in named.items() if value is not None}}
    with needs_extra("serve"):
        from voiceflow_ml.service.logs import set_up  # noqa: PLC0415
        from voiceflow_ml.service.settings import read_settings  # noqa: PLC0415

        read = read_settings(flags, config)
        for line in read.lines():
            typer.echo(line)
    if read.settings.registry:
        with needs_extra("registry"):
            import fsspec  # noqa: F401, PLC0415
            import semver  # noqa: F401, PLC0415
    with needs_extra("serve"):
        from voiceflow_ml.service.run import serve  # noqa: PLC0415
        from voiceflow_ml.service.start import open_parts  # noqa: PLC0415

        set_up(read.settings.log_level)
        serve(open_parts(read.settings))


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("serve", help=_HELP)(serve_command)


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text!r}: write NAME=VALUE, such as queue_length=32")
        pairs[name.strip()] = value
    return pairs
