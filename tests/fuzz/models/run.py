"""Let the corpus in by every way, in child processes that may die or hang without doing harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.models.corpus import corpus
from tests.fuzz.models.mutant import SEED
from tests.fuzz.models.ways import GATES, REFUSED

ROOT = Path(__file__).parents[3]
_SILENCE_S = 60.0
"""A way that says nothing for so long hangs; the slowest takes a second on a machine that is busy with other things."""
_BEGIN_S = 600.0
"""Until the good model was let in by every way, which imports all that there is."""
_POLL_S = 0.05


@dataclass(frozen=True)
class Tried:
    """One mutant let in by one way.

    Attributes:
        mutant: its name.
        kind: its family.
        way: how it was let in.
        state: accepted, refused, passed over, crashed, killed or hung.
        sentence: what was said.
        problem: what is wrong with that; empty when nothing is.
        opened: files that were opened and may not be.
        took_s: seconds.
        grown_mib: by how much the memory of the process grew.
    """

    mutant: str
    kind: str
    way: str
    state: str
    sentence: str
    problem: str
    opened: tuple[str, ...] = ()
    took_s: float = 0.0
    grown_mib: int = 0


def run(places: list[int] | None = None, only: tuple[str, ...] = ()) -> list[Tried]:
    """Try mutants of the corpus, all of them for None, by these ways, by all for none."""
    mutants = corpus()
    left = list(range(len(mutants))) if places is None else list(places)
    found: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="voiceflow-fuzz-") as folder:
        skip_until = ""
        while left:
            entries, ended = _child(Path(folder), left, skip_until, only)
            done = [entry for entry in entries if "state" in entry]
            found += [_tried(mutants[entry["place"]], entry) for entry in done]
            if ended == "":
                break
            last = entries[-1]
            if "state" not in last:
                found.append(_tried(mutants[last["place"]], {**last, "state": ended, "sentence": "", "problem": ended}))
            # Whoever ended it, the next child goes on behind this try; one that does not get further is an error.
            left, skip_until = left[left.index(last["place"]) :], last["way"]
    return found


def _tried(mutant: Any, entry: dict[str, Any]) -> Tried:
    return Tried(
        mutant.name,
        mutant.kind,
        entry["way"],
        entry["state"],
        entry["sentence"],
        entry["problem"],
        tuple(entry.get("opened", ())),
        entry.get("took_s", 0.0),
        entry.get("grown_mib", 0),
    )


def _child(folder: Path, places: list[int], skip_until: str, only: tuple[str, ...]) -> tuple[list[dict[str, Any]], str]:
    """Run a child over these places; what it wrote, and how it ended: empty when all is done."""
    journal, log = folder / "journal", folder / "stderr"
    journal.write_bytes(b"")
    command = [sys.executable, "-m", "tests.fuzz.models.child", str(folder), str(journal), json.dumps(places)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "OMP_NUM_THREADS": "1",
        # A module that is compiled as it is imported would be a file written outside of the folder.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            [*command, skip_until, json.dumps(only)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            cwd=ROOT,
            env=environment,
        )
        ended = _watched(child, journal)
    lines = journal.read_text(encoding="utf-8").splitlines()
    if not lines and ended:
        raise RuntimeError(f"the child did not begin: {log.read_text(errors='replace')[-2_000:]}")
    return [json.loads(line) for line in lines], ended


def _watched(child: subprocess.Popen[bytes], journal: Path) -> str:
    size, since_s = -1, time.monotonic()
    while child.poll() is None:
        now = journal.stat().st_size
        if now != size:
            size, since_s = now, time.monotonic()
        elif time.monotonic() - since_s > (_SILENCE_S if size > 0 else _BEGIN_S):
            child.kill()
            child.wait()
            return "hung"
        time.sleep(_POLL_S)
    return "" if child.returncode == 0 else f"killed ({child.returncode})"


def problems(found: list[Tried]) -> list[str]:
    """What must not be, one line each."""
    lines = []
    for one in found:
        if one.problem:
            lines.append(f"{one.mutant} by {one.way}: {one.problem}: {one.sentence[:200]!r}")
        if one.opened:
            lines.append(f"{one.mutant} by {one.way}: {', '.join(one.opened)}")
    return lines


def summary(found: list[Tried]) -> dict[str, Any]:
    """Counts for people and for the documentation."""
    by_mutant: dict[str, list[Tried]] = {}
    for one in found:
        by_mutant.setdefault(one.mutant, []).append(one)
    counted = [_counts(tried) for tried in by_mutant.values()]
    families: dict[str, Counter[str]] = {}
    for kind, counts in counted:
        families.setdefault(kind, Counter()).update(counts)
    return {
        "seed": SEED,
        "ways": list(dict.fromkeys(one.way for one in found)),
        "tries": len(found),
        "crashes": sum(one.state == "crashed" or one.state.startswith("killed") for one in found),
        "hangs": sum(one.state == "hung" for one in found),
        "opened_outside": sum(bool(one.opened) for one in found),
        "not_one_sentence": sum(one.state == REFUSED and bool(one.problem) for one in found),
        "all": dict(sum((Counter(counts) for _, counts in counted), Counter())),
        "families": {kind: dict(counts) for kind, counts in families.items()},
    }


def _counts(tried: list[Tried]) -> tuple[str, dict[str, int]]:
    """Family of a mutant, and where it is refused: by ONNX Runtime alone, by every gate, nowhere."""
    refused = {one.way for one in tried if one.state == REFUSED}
    return tried[0].kind, {
        "mutants": 1,
        "refused_by_the_runtime": int("open_onnx" in refused),
        "refused_at_every_gate": int(refused.issuperset(GATES)),
        "still_valid": int(not refused.intersection(("open_onnx", *GATES))),
    }
