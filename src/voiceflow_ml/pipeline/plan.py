"""What a model update is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voiceflow_ml.errors import ConfigError

CHECKPOINT_FILE = "checkpoint.pt"


@dataclass(frozen=True)
class PipelinePlan:
    """One model update.

    Attributes:
        work: folder of the run; the same folder again goes on with it.
        registry: address of the registry.
        sla: the promises; the exported file is measured against those of its model.
        who: who does it.
        source: a checkpoint, or the folder of an export; None where it is trained.
        train: words of ``voiceflow train``, such as ``("fast-cnn", "--preset", "small")``; empty where nothing is.
        precision: variants to export, as ``voiceflow export --precision`` takes them.
        data: folder of speech data for calibration and scores; None for the shipped speech.
        version: the version to publish; empty for the smallest that the change of contract allows.
        gpus: GPUs of this machine to measure on, as ``--gpu`` takes them.
        results: sessions of other machines with verdicts about the same file.
        waived: gate -> reason.
        channel: what users get.
        canary: what is tried before.
        measuring: further options of pytest, such as ``("--sla-time-budget=60s",)``.
    """

    work: Path
    registry: str
    sla: Path
    who: str
    source: Path | None = None
    train: tuple[str, ...] = ()
    precision: str = "fp32"
    data: Path | None = None
    version: str = ""
    gpus: tuple[str, ...] = ()
    results: tuple[Path, ...] = ()
    waived: Mapping[str, str] = field(default_factory=dict)
    channel: str = "prod"
    canary: str = "canary"
    measuring: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.source is None) == (not self.train):
            raise ConfigError("give either a checkpoint, the folder of an export, or what to --train")
        if self.source is not None and not self.source.exists():
            raise ConfigError(f"{self.source} is not there; give a {CHECKPOINT_FILE}, or the folder of an export")
        if not self.sla.is_file():
            raise ConfigError(f"{self.sla} is not there; a model is updated against promises, so give an sla.toml")
        if self.channel == self.canary:
            raise ConfigError(f"the canary cannot be in {self.channel!r}, the channel that users get")

    @property
    def export_folder(self) -> Path:
        """Where the release is: the given folder, or the one that this run exports into."""
        return self.source if self.source is not None and self.source.is_dir() else self.work / "export"
