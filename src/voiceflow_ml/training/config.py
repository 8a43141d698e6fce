"""Every hyper-parameter of a training run, whatever the network, in one frozen record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from voiceflow_ml.errors import ConfigError, TrainingError
from voiceflow_ml.models.architectures import NetworkConfig, architecture_name, find_architecture
from voiceflow_ml.models.fast_cnn import FastCnnConfig
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ, WINDOW_SAMPLES
from voiceflow_ml.training.simulate.conversation import SimulationConfig

Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
Branch = Literal["both", "segmentation", "voice"]


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        seed: Of the weights and of every simulated conversation.
        steps: Optimizer steps; the learning rate falls to zero over them.
        conversations_per_step: Simulated conversations in a batch, each cut into windows.
        window_samples: Lengths of windows; steps take them in turns, so that one network serves streams
            (short windows) and files (long ones).
        clips_per_step: Windows of one voice alone in a batch, each with the teacher's word on just these clips.
        branch: Which branch of the Fast CNN is trained; the other stays as it is.
        start_sha256: The checkpoint whose weights the run began with; "" for random ones.
        meeting_share: Share of a batch's windows that are cut from real conversations, where the data has any.
        learning_rate: The highest, reached after the warm-up.
        encoder_rate: Learning rate of an encoder's weights, as a multiple of the others'; a pretrained one
            wants a small one.
        warmup_steps: Steps of linear rise.
        weight_decay: Of AdamW.
        clip_norm: Largest norm of the gradient.
        speaker_weight: Weight of the speaker loss beside the segmentation loss.
        teacher_weight: Weight of the distance to the teacher's embeddings inside the speaker loss.
        speaker_margin: Margin of the classification in the speaker loss, in cosine.
        speaker_scale: Scale of its cosines.
        min_alone_s: Seconds a speaker must talk alone in a window to count in it.
        precision: What the network computes in while it trains: fp32, or bf16 or fp16 under autocast
            (fp16 with a scaled loss); weights and losses are fp32 in any case.
        log_every: Steps between two lines of the learning curve.
        save_every: Steps between two checkpoints.
        validate_every: Steps between two scorings on the dev speakers, and one after the last step; 0 for none.
        validate_conversations: Simulated conversations of 30 s that each of them scores.
        patience: Scorings in a row without a better one that end the run early; 0 to never end it early.
        simulation: What conversations are like.
        model: Shape of the network.
    """

    seed: int = 0
    steps: int = 4_700
    conversations_per_step: int = 15
    window_samples: tuple[int, ...] = (WINDOW_SAMPLES, 2 * WINDOW_SAMPLES)
    clips_per_step: int = 0
    branch: Branch = "both"
    start_sha256: str = ""
    meeting_share: float = 0.06
    learning_rate: float = 2e-3
    encoder_rate: float = 1.0
    warmup_steps: int = 60
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    speaker_weight: float = 0.3
    teacher_weight: float = 8.0
    speaker_margin: float = 0.1
    speaker_scale: float = 20.0
    min_alone_s: float = 0.5
    precision: Precision = "bf16"
    log_every: int = 20
    save_every: int = 100
    validate_every: int = 0
    validate_conversations: int = 20
    patience: int = 10
    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    model: NetworkConfig = field(default_factory=FastCnnConfig)

    def __post_init__(self) -> None:
        counts = {
            "steps": self.steps,
            "conversations_per_step": self.conversations_per_step,
            "log_every": self.log_every,
            "save_every": self.save_every,
            "validate_conversations": self.validate_conversations,
        }
        for name, value in counts.items():
            if value < 1:
                raise TrainingError(f"{name} must be at least 1, got {value}")
        for name, value in (("validate_every", self.validate_every), ("patience", self.patience)):
            if value < 0:
                raise TrainingError(f"{name} must be at least 0, got {value}")
        if self.precision not in PRECISIONS:
            raise TrainingError(f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        frames = self.simulation.seconds * SAMPLE_RATE_HZ
        for samples in self.window_samples:
            if not 640 <= samples <= frames or samples % 640:
                raise TrainingError(
                    f"window_samples must be multiples of 640 up to a conversation's {frames:.0f}, got {samples}"
                )
        for name, rate in (("learning_rate", self.learning_rate), ("encoder_rate", self.encoder_rate)):
            if not rate > 0.0:
                raise TrainingError(f"{name} must be positive, got {rate}")

    @property
    def architecture(self) -> str:
        """The kind of network, by its name on the command line."""
        return architecture_name(self.model)

    def to_dict(self) -> dict[str, Any]:
        """As plain dicts, lists and numbers, for checkpoints and JSON."""
        plain: dict[str, Any] = _lists({"architecture": self.architecture, **asdict(self)})
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> TrainConfig:
        """The reverse of ``to_dict``.

        Raises:
            TrainingError: Unknown or missing fields.
        """
        fields = _tuples(plain)
        # Runs from before there was a second network and a third precision say less; there were two choices of branch.
        architecture = fields.pop("architecture", "fast-cnn")
        if "bf16" in fields:
            fields["precision"] = "bf16" if fields.pop("bf16") else "fp32"
        if "voice_only" in fields:
            fields["branch"] = "voice" if fields.pop("voice_only") else "both"
        try:
            model = find_architecture(architecture).configure(_tuples(plain["model"]))
            simulation = SimulationConfig(**_tuples(plain["simulation"]))
            return cls(**{**fields, "simulation": simulation, "model": model})
        except (TypeError, KeyError, ConfigError) as error:
            raise TrainingError(f"training configuration does not fit this version: {error}") from error


def _lists(value: Any) -> Any:
    """Tuples as lists, at any depth, as JSON and checkpoints hold them."""
    if isinstance(value, dict):
        return {key: _lists(each) for key, each in value.items()}
    return [_lists(each) for each in value] if isinstance(value, tuple) else value


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
