"""Lets models in by every way, one line for each: ``python -m tests.fuzz.models.child FOLDER JOURNAL FIRST LAST``.

The journal tells what is being done before it is done, so that who reads it knows what killed the process.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from tests.fuzz.models.corpus import corpus
from tests.fuzz.models.mutant import OUTSIDE, good_release
from tests.fuzz.models.watch import Watch
from tests.fuzz.models.ways import ACCEPTED, FATE, OTHER_MODELS, PASSED_OVER, REFUSED, ways

_MEMORY_BYTES = 8 << 30
_LONGEST_SENTENCE = 1_500


def main(folder: Path, journal: Path, places: list[int], skip_until: str, only: tuple[str, ...]) -> None:
    """Let these mutants in; of the first, only the ways behind ``skip_until``."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
    (folder / "tmp").mkdir(exist_ok=True)
    os.chdir(folder / "tmp")
    if not (folder / "good").exists():
        good_release(folder / "good")
    watch = Watch(folder / OUTSIDE, (folder,))
    mutants = corpus()
    if FATE not in os.environ:
        _begin(folder, only)
    with journal.open("a", encoding="utf-8") as stream:
        for place in places:
            broken = folder / "broken"
            shutil.rmtree(broken, ignore_errors=True)
            shutil.copytree(folder / "good", broken)
            mutants[place].make(broken)
            watch.opened()
            for name, way in ways(only):
                if skip_until:
                    skip_until = "" if name == skip_until else skip_until
                    continue
                _write(stream, {"place": place, "way": name})
                _write(stream, {"place": place, "way": name, **_tried(way, broken), "opened": watch.opened()})


def _begin(folder: Path, only: tuple[str, ...]) -> None:
    """Let the good model in by every way: what refuses that refuses everything, and proves nothing."""
    for name, way in ways(only):
        tried = _tried(way, folder / "good")
        if tried["state"] not in (ACCEPTED, PASSED_OVER) and name not in OTHER_MODELS:
            raise RuntimeError(f"the good model was not let in by {name}: {tried}")


def _tried(way: Any, broken: Path) -> dict[str, Any]:
    start_s, before_kib = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state, sentence = way(broken)
    except BaseException as error:
        state, sentence = "crashed", f"{type(error).__name__}: {str(error)[:300]}"
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) >> 10
    return {
        "state": state,
        "sentence": sentence[: 2 * _LONGEST_SENTENCE],
        "problem": _problem(state, sentence),
        "took_s": round(time.monotonic() - start_s, 3),
        "grown_mib": grown_mib,
    }


def _problem(state: str, sentence: str) -> str:
    """What is wrong with an answer; empty for one that is as it should be."""
    if state in (ACCEPTED, PASSED_OVER):
        return ""
    if state != REFUSED:
        return state
    if not sentence or len(sentence) > _LONGEST_SENTENCE:
        return f"the sentence has {len(sentence)} characters"
    if not sentence.isprintable():
        return "the sentence has line breaks or control characters"
    return "a traceback" if "Traceback" in sentence else ""


def _write(stream: Any, entry: dict[str, Any]) -> None:
    stream.write(json.dumps(entry) + "\n")
    stream.flush()


if __name__ == "__main__":
    main(
        Path(sys.argv[1]).resolve(),
        Path(sys.argv[2]).resolve(),
        json.loads(sys.argv[3]),
        sys.argv[4],
        tuple(json.loads(sys.argv[5])),
    )
