"""What a soak must have shown: nothing wrong, nothing lost, nothing kept."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.judging import Trouble
from benchmarks.soak.run_state import FINISHED
from benchmarks.soak.sampling import GAUGES
from voiceflow_ml.units import format_count

MOST_GROWTH = 0.1
MIB = 1 << 20
Results = Mapping[str, Any]
_OF = {Trouble.WRONG: "answers", Trouble.LOST: "answers", Trouble.FAULT: "faults"}


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        name: what is looked at.
        measured: what was found, in words.
        goal: what it must be.
        reached: whether it is; None where the soak did not come to its end.
    """

    name: str
    measured: str
    goal: str
    reached: bool | None


@dataclass(frozen=True)
class Memory:
    """Resident memory of the server under the load, in bytes.

    Attributes:
        early: median right after the warm-up.
        late: median at the end.
        most: largest of all samples.
    """

    early: float
    late: float
    most: float

    @property
    def growth(self) -> float:
        """From early to late, as a share of early."""
        return self.late / self.early - 1


def memory_of(results: Results) -> Memory | None:
    """Memory of a run; None when it did not last long enough to have a beginning and an end to compare."""
    plan, samples = results["plan"], results["samples"]
    rows = list(zip(samples["at_s"], samples["resident_bytes"], strict=True))
    begin_s, end_s = plan["warmup_s"], plan["duration_s"] - plan["compare_s"]
    early = [value for at_s, value in rows if begin_s <= at_s < begin_s + plan["compare_s"]]
    late = [value for at_s, value in rows if end_s <= at_s <= plan["duration_s"]]
    if not early or not late:
        return None
    return Memory(statistics.median(early), statistics.median(late), max(value for _, value in rows))


def goals(results: Results) -> list[Goal]:
    """All goals, each reached or not."""
    return [*_counted(results), _memory(results), *_left(results)]


def is_reached(results: Results) -> bool:
    """Whether every goal is."""
    return all(goal.reached for goal in goals(results))


def _decided(results: Results, reached: bool) -> bool | None:
    """A goal missed is missed however the run ended; one that held so far is not reached before the end."""
    return reached if results["state"] == FINISHED or not reached else None


def _counted(results: Results) -> list[Goal]:
    counts = results["counts"]
    answers = sum(results["right"].values()) + counts[Trouble.WRONG]
    totals = {"answers": answers, "faults": sum(results["faults"].values()) + counts[Trouble.FAULT]}
    found = []
    for trouble in Trouble:
        count = counts[trouble]
        of = f" of {format_count(totals[_OF[trouble]])} {_OF[trouble]}" if trouble in _OF else ""
        found.append(Goal(str(trouble), f"{format_count(count)}{of}", "0", _decided(results, count == 0)))
    return found


def _memory(results: Results) -> Goal:
    name, goal = "resident memory, after the warm-up and at the end", f"at most {MOST_GROWTH:+.0%}"
    memory = memory_of(results)
    if memory is None:
        return Goal(name, "not long enough to tell", goal, None)
    early, late, most = (f"{value / MIB:.0f}" for value in (memory.early, memory.late, memory.most))
    measured = f"{early} and {late} MiB ({memory.growth:+.1%}), {most} MiB at most"
    return Goal(name, measured, goal, _decided(results, memory.late <= (1 + MOST_GROWTH) * memory.early))


def _left(results: Results) -> list[Goal]:
    """What the server holds with all clients gone."""
    name, held = (
        "open descriptors, before the load and after it",
        "requests, streams and bytes of bodies held afterwards",
    )
    if "after" not in results:
        return [Goal(name, "not seen", "no more", None), Goal(held, "not seen", "0", None)]
    before, after = results["before"], results["after"]
    kept = [after[gauge] for gauge in GAUGES]
    return [
        Goal(name, f"{before['descriptors']} and {after['descriptors']}", "no more", _no_more(before, after)),
        Goal(held, ", ".join(f"{value:g}" for value in kept), "0", not any(kept)),
    ]


def _no_more(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    return after["descriptors"] <= before["descriptors"]
