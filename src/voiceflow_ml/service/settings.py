"""Every setting of the server: its default, its bounds, and where its value came from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.service.access import ANY, listed, token_problem

ENVIRONMENT_PREFIX = "VOICEFLOW_"
_Seconds = Annotated[float, Field(gt=0, le=86_400)]
_Bytes = Annotated[int, Field(ge=1, le=1 << 40)]


class ServeSettings(BaseSettings):
    """Settings of ``voiceflow serve``; read them with :func:`read_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, extra="forbid", frozen=True, validate_default=False, protected_namespaces=()
    )

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 is every one of the machine.")
    port: int = Field(8000, ge=0, le=65_535, description="Port; 0 takes a free one and says which.")
    model: str = Field(
        "builtin:fast-cnn", description="builtin:fast-cnn, a folder of an export, or with registry a model's name."
    )
    target: str = Field("cpu", description="Hardware that it runs on: cpu, or a GPU such as cuda-t4.")
    registry: str = Field("", description="Address of a registry: file:///folder, gs://... or s3://...")
    channel: str = Field("prod", description="Channel of the registry whose version is served.")
    poll_channel_s: float = Field(
        0.0, ge=0, le=86_400, description="Load what is promoted in the channel, asked so often; 0 does not ask."
    )
    threads: int = Field(0, ge=0, le=256, description="Inference threads; 0 is one for each core.")
    queue_length: int = Field(64, ge=1, le=100_000, description="Requests that may wait for a thread.")
    max_batch: int = Field(1, ge=1, le=1_024, description="Waiting inferences that share a run; 1 for none.")
    queue_timeout_s: _Seconds = Field(1.0, description="A request that waited longer is answered 503.")
    long_queue_timeout_s: _Seconds = Field(30.0, description="The same for recordings of more than a megabyte.")
    inference_timeout_s: _Seconds = Field(60.0, description="A run of the model that takes longer is given up.")
    latency_s: float = Field(2.0, ge=0.8, le=60, description="Streams: a turn is out after so many seconds of audio.")
    correct_s: float = Field(
        300.0, ge=0, le=3600, description="Streams: a wrong name is corrected for so many seconds; 0: never."
    )
    max_body_bytes: _Bytes = Field(64 << 20, description="Largest body of a request.")
    max_tensor_bytes: _Bytes = Field(4 << 20, description="Largest inputs of one inference.")
    max_buffered_bytes: _Bytes = Field(256 << 20, description="Bodies of all requests together.")
    max_audio_s: _Seconds = Field(3_600.0, description="Longest recording.")
    max_channels: int = Field(8, ge=1, le=64, description="Most channels of a recording.")
    min_sample_rate_hz: int = Field(8_000, ge=1_000, description="Lowest sample rate of a recording.")
    max_sample_rate_hz: int = Field(192_000, le=768_000, description="Highest sample rate of a recording.")
    max_streams: int = Field(64, ge=0, le=10_000, description="Streams at once.")
    max_streams_per_client: int = Field(0, ge=0, le=10_000, description="The same from one address; 0 is no bound.")
    max_stream_s: _Seconds = Field(14_400.0, description="Longest stream, in seconds of audio.")
    max_chunk_bytes: int = Field(1 << 20, ge=2, le=16 << 20, description="Largest chunk of a stream.")
    stream_idle_s: _Seconds = Field(30.0, description="A stream that sends nothing for so long is closed.")
    ping_s: _Seconds = Field(10.0, description="Streams are pinged this often; who does not answer as long is gone.")
    max_connections: int = Field(1_024, ge=1, le=1_000_000, description="Connections at once.")
    max_connections_per_client: int = Field(
        0, ge=0, le=1_000_000, description="The same from one address; 0 is no bound."
    )
    head_timeout_s: _Seconds = Field(10.0, description="Longest time for the head of a request.")
    body_timeout_s: _Seconds = Field(60.0, description="Longest time for the body of a request.")
    keep_alive_s: int = Field(5, ge=1, le=3_600, description="A connection without a request is closed after this.")
    shutdown_delay_s: float = Field(0.0, ge=0, le=600, description="Not ready any more, still answering: so long.")
    shutdown_timeout_s: int = Field(30, ge=1, le=3_600, description="What was taken is finished for so long.")
    admin_token: SecretStr = Field(SecretStr(""), description="Who sends it may load and roll back; empty: nobody.")
    allowed_origins: str = Field("", description="Pages that may open streams besides the server's own; * is any.")
    allowed_hosts: str = Field("", description="Names that the server answers to; empty: to any.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least grave that is logged.")
    access_log: bool = Field(False, description="Log every request.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the parameters are the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values are merged by :func:`read_settings`, which remembers where each came from."""
        return (init_settings,)

    @field_validator("admin_token")
    @classmethod
    def _is_hard_to_guess(cls, token: SecretStr) -> SecretStr:
        problem = token_problem(token.get_secret_value())
        if problem:
            raise ValueError(problem)
        return token

    @field_validator("allowed_origins", "allowed_hosts")
    @classmethod
    def _is_a_list(cls, text: str, info: ValidationInfo) -> str:
        listed(text, "host" if info.field_name == "allowed_hosts" else "origin")
        return text

    @property
    def origins(self) -> frozenset[str]:
        """Pages that may open streams, besides the server's own."""
        return listed(self.allowed_origins, "origin")

    @property
    def hosts(self) -> frozenset[str]:
        """Names that the server answers to; none for any."""
        return listed(self.allowed_hosts, "host") - {ANY}

    @property
    def thread_count(self) -> int:
        """Inference threads: never more than the process may use cores."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(cores, self.threads) if self.threads else cores


@dataclass(frozen=True)
class ReadSettings:
    """Settings, and where they came from.

    Attributes:
        settings: the values.
        sources: name -> ``"flag"``, ``"environment VOICEFLOW_PORT"``, ``"file serve.toml"`` or ``"default"``.
    """

    settings: ServeSettings
    sources: Mapping[str, str]

    def lines(self) -> list[str]:
        """One line for each setting: name, value (secrets masked), source."""
        width = max(len(name) for name in self.sources)
        return [f"{name:<{width}} = {self.shown(name)}  ({source})" for name, source in self.sources.items()]

    def shown(self, name: str) -> str:
        """A value as it may be printed."""
        value = getattr(self.settings, name)
        if isinstance(value, SecretStr):
            return "********" if value.get_secret_value() else "not set"
        # An address may carry a password.
        return repr(re.sub(r"//[^/@]*@", "//********@", value)) if isinstance(value, str) else str(value)


def read_settings(flags: Mapping[str, Any], file: Path | None = None) -> ReadSettings:
    """Merge what the command line, the environment and a file say; the first of them that names a setting counts.

    Args:
        flags: of the command line: name -> value, only those that were given.
        file: TOML with the names as keys.

    Raises:
        ConfigError: an unknown name or a value out of its bounds; the message says from where.
    """
    layers = [("flag", dict(flags)), ("environment", _environment()), ("file", _file(file))]
    merged: dict[str, Any] = {}
    sources = dict.fromkeys(ServeSettings.model_fields, "default")
    for kind, values in layers:
        for name, value in values.items():
            if name not in merged:
                merged[name] = value
                sources[name] = _source(kind, name, file)
    try:
        settings = ServeSettings(**merged)
    except ValidationError as error:
        raise ConfigError(_sentence(error, sources)) from None
    if settings.min_sample_rate_hz > settings.max_sample_rate_hz:
        raise ConfigError("min_sample_rate_hz is above max_sample_rate_hz; nothing could be sent")
    return ReadSettings(settings, sources)


def _environment() -> dict[str, Any]:
    return EnvSettingsSource(ServeSettings)()


def _file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    if not file.is_file():
        raise ConfigError(f"{file}: no such configuration file")
    try:
        return TomlConfigSettingsSource(ServeSettings, file)()
    except (ValueError, OSError) as error:
        raise ConfigError(f"{file} is not TOML that can be read: {error}") from None


def _source(kind: str, name: str, file: Path | None) -> str:
    if kind == "environment":
        return f"environment {ENVIRONMENT_PREFIX}{name.upper()}"
    return f"file {file}" if kind == "file" else kind


def _sentence(error: ValidationError, sources: Mapping[str, str]) -> str:
    first = error.errors(include_input=True)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return f"{name!r} ({sources.get(name, 'file')}) is no setting; they are {', '.join(ServeSettings.model_fields)}"
    value = "" if name == "admin_token" else f", got {first['input']!r}"
    return f"{name} ({sources.get(name, 'default')}): {first['msg']}{value}"
