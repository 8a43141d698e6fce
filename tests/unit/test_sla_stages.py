"""`[stages.NAME]` of sla.toml: ranges that are declared for the budget of an end-to-end promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.sla.load import load_sla, parse_sla
from voiceflow_ml.sla.objectives import Stage, StageRange

HEAD = 'version = 1\n[models.m]\nfile = "m.onnx"\n'  # lines 1 to 3
PROMISES = "".join(
    f'[[objective]]\nmodel = "m"\nstage = "{stage}"\ntarget = "cpu"\np99 = "100ms"\n'
    for stage in ("end-to-end", "model-inference")
)
NETWORK = '[stages.network]\nlow = "10ms"\nhigh = "40ms"\n'  # lines 4 to 6 after HEAD


def test_an_end_to_end_promise_has_the_ranges_of_its_file_and_no_other_has() -> None:
    server = '[stages.server-processing]\nlow = "0s"\nhigh = "10ms"\n'
    whole, inference = parse_sla(HEAD + server + NETWORK + PROMISES, Path("sla.toml")).promises
    # In the order in which a request meets them, whatever that of the file.
    assert whole.stages == (
        StageRange(Stage.NETWORK, 10_000_000, 40_000_000),
        StageRange(Stage.SERVER_PROCESSING, 0, 10_000_000),
    )
    assert inference.stages == ()


def test_a_file_without_them_declares_none() -> None:
    assert parse_sla(HEAD + PROMISES, Path("sla.toml")).promises[0].stages == ()


def test_this_project_declares_what_it_cannot_measure() -> None:
    (whole,) = [one for one in load_sla(Path(__file__).parents[2] / "sla.toml").promises if one.stages]
    assert whole.label == "fast-cnn · end-to-end · cpu"
    assert [entry.stage for entry in whole.stages] == [Stage.NETWORK]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("network", "nework", "4: stages.nework: unknown key; valid here: network, server-processing, model-inference"),
        (
            "network",
            "end-to-end",
            "4: stages.end-to-end: unknown key; valid here: network, server-processing, model-inference",
        ),
        ('high = "40ms"', "", '4: stages.network.high: is missing; write, for example, high = "40ms"'),
        ('high = "40ms"', 'high = "4ms"', "4: stages.network: low (10 ms) is more than high (4 ms); swap them"),
        ('high = "40ms"\n', 'high = "40ms"\nmid = 1', "7: stages.network.mid: unknown key; valid here: low, high"),
        (
            NETWORK,
            "[stages]\nnetwork = 3",
            "5: stages.network: must be a table, got 3; write, for example, [stages.network]",
        ),
    ],
)
def test_a_wrong_range_is_one_sentence(old: str, new: str, complaint: str) -> None:
    text = (HEAD + NETWORK).replace(old, new)
    with pytest.raises(ConfigError) as caught:
        parse_sla(text, Path("sla.toml"))
    assert str(caught.value) == f"sla.toml:{complaint}"
