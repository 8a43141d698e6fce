"""``voiceflow evaluate-segmentation``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from voiceflow_ml.commands.data import DEFAULT_DATA_DIR
from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.models.signal import WINDOW_SAMPLES


def evaluate_command(
    model: Annotated[Path, typer.Argument(help="An exported .onnx.")],
    data: Annotated[Path, typer.Option(help="Folder that `voiceflow data prepare` filled.")] = DEFAULT_DATA_DIR,
    split: Annotated[list[str] | None, typer.Option(help="dev or test; may repeat (default: dev).")] = None,
    conversations: Annotated[int, typer.Option(min=1, help="Simulated conversations of 30 s per split.")] = 60,
    card: Annotated[Path | None, typer.Option(help="Model card to write the scores into.")] = None,
) -> None:
    """Score who-talks-when over 3 s windows of simulated conversations of unseen voices."""
    with needs_extra("export"):
        from voiceflow_ml.training.evaluate import evaluate, evaluation_windows, onnx_segmenter  # noqa: PLC0415
        from voiceflow_ml.training.simulate.bank import load_bank  # noqa: PLC0415
        from voiceflow_ml.training.simulate.conversation import SimulationConfig  # noqa: PLC0415

        segment = onnx_segmenter(model)
    scores: dict[str, dict[str, float | int]] = {}
    for name in split or ["dev"]:
        if name not in ("dev", "test"):
            raise ConfigError(f"--split {name!r}: valid splits are dev and test")
        bank = load_bank(data, "dev" if name == "dev" else "test")
        windows = evaluation_windows(bank, SimulationConfig(), WINDOW_SAMPLES, conversations=conversations)
        scores[name] = evaluate(segment, windows).to_dict()
        typer.echo(f"{name}: local DER {scores[name]['local_der_percent']} % {json.dumps(scores[name])}")
    if card is not None:
        _add_scores(card, scores, conversations)


def _add_scores(card: Path, scores: dict[str, dict[str, float | int]], conversations: int) -> None:
    from voiceflow_ml.files import write_text_atomic  # noqa: PLC0415

    try:
        content = json.loads(card.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--card {card}: not a readable model card ({error})") from error
    content["evaluation"] = {
        "what": "local DER over 3 s windows, 20 ms frames, overlap scored, no collar, simulated conversations",
        "conversations_per_split": conversations,
        **content.get("evaluation", {}),
        **scores,
    }
    write_text_atomic(card, json.dumps(content, indent=2) + "\n")
