"""The results as Markdown, for the terminal and for docs/serving-performance.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.marked import table
from voiceflow_ml.units import format_ns

QUEUE_BOUND_NS = 1_000_000_000
"""``queue_timeout_s`` as it is by default: a request that waited longer is turned away."""
ACCEPTED_NS = round(1.5 * QUEUE_BOUND_NS)
"""Queue's bound, the model's run and the way there and back."""
_MIB = 1 << 20
Part = Mapping[str, Any]


def render(results: Mapping[str, Any]) -> str:
    """All parts that were run, each with its goal and whether it was reached."""
    begin, end = results["load_average"]
    head = (
        f"Measured {results['measured_at'][:10]} on {results['machine'].get('CPU', 'an unknown CPU')}, "
        f"{results['cores']} cores, {results['priority']}; load average of the machine {begin:.1f} before and "
        f"{end:.1f} after. Servers and generator share these cores. Latency counts from the intended sending; where "
        "the generator was late, the trial is INVALID and it is said."
    )
    drawn = [draw(results[name]) for name, draw in _DRAW.items() if name in results]
    return "\n\n".join([head, *drawn])


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> str:
    return f"### {title}\n\n{table(head, rows)}\n\n{note}".rstrip()


def _goal(text: str, good: bool, trials: Sequence[Part]) -> str:
    """Whether a goal was reached; an INVALID trial decides nothing, whatever its numbers are."""
    if not all(trial["valid"] for trial in trials):
        return f"{text}: undecided"
    return f"{text}: {'reached' if good else '**missed**'}"


def _invalid(trials: Sequence[Part]) -> str:
    bad = [trial for trial in trials if not trial["valid"]]
    return f" {len(bad)} of {len(trials)} trials were INVALID: {bad[0]['problems'][0]}." if bad else ""


def _duration(value_ns: float | None) -> str:
    return "none" if value_ns is None or math.isinf(value_ns) else format_ns(value_ns)


def _baseline(part: Part) -> str:
    trials = [trial for found in part["trials"].values() for trial in found]
    names = {
        "ours": "this server",
        "batched": f"this server, `max_batch = {part['max_batch']}`",
        "baseline": "plain FastAPI, JSON",
    }
    rows = [[text, *_against(part, name)] for name, text in names.items()]
    faster, quicker = max(part["rate_ratio"].values()), min(part["p99_ratio"].values())
    goals = _goal("at least 5x", faster >= 5, trials), _goal("at most 0.2x", quicker <= 0.2, trials)
    rows.append(["goal, by one of the two", "", goals[0], "", goals[1]])
    note = "Medians of trials in turns of random order; same model, same session options, same window of speech."
    title = f"Against plain FastAPI with JSON, {part['connections']} closed-loop connections"
    head = ["", "requests in a second", "of plain FastAPI's", "P99", "of plain FastAPI's"]
    return _section(title, head, rows, note + _invalid(trials))


def _against(part: Part, name: str) -> list[str]:
    rate, p99 = f"{part['rate_per_s'][name]:.1f}", _duration(part["p99_ns"][name])
    if name not in part["rate_ratio"]:
        return [rate, "", p99, ""]
    return [rate, f"{part['rate_ratio'][name]:.1f}x", p99, f"{part['p99_ratio'][name]:.3f}x"]


def _half(part: Part) -> str:
    model_ns = sorted(part["model_p99_ns"])[len(part["model_p99_ns"]) // 2]
    row = [
        f"{part['capacity_per_s']:.1f} in a second",
        _duration(part["p99_ns"]),
        _duration(model_ns),
        f"{part['ratio']:.1f}x",
        _goal("at most 5x", part["ratio"] <= 5, part["trials"]),
    ]
    head = ["capacity", "end-to-end P99 at half of it", "the model's own P99", "ratio", "goal"]
    note = "Capacity is what 20 closed-loop connections get. The model alone ran before, between and after the trials."
    return _section("Open loop at half of the capacity, on loopback", head, [row], note + _invalid(part["trials"]))


def _streams(part: Part) -> str:
    words = {True: "yes", False: "no"}
    rows = [
        [
            count,
            _duration(trial["latency_ns"]["P50"]),
            _duration(trial["latency_ns"]["P99"]),
            words[trial["sustained"]] if trial["valid"] else "INVALID: the generator was late",
        ]
        for count, trial in part["trials"].items()
    ]
    more = [trial for count, trial in part["trials"].items() if int(count) > part["sustained"]]
    # Where the generator was late before the server failed, nothing is known of more streams.
    least = "at least " if any(not trial["valid"] for trial in more) else ""
    note = (
        f"**{least}{part['sustained']}** streams at once are sustained: every chunk answered, P99 from chunk in to "
        "answer out below 100 ms."
    )
    return _section("Live streams, a chunk every 100 ms", ["streams", "P50", "P99", "sustained"], rows, note)


def _overload(part: Part) -> str:
    trial, memory, probes = part["trial"], part["resident_bytes"], part["probes"]
    statuses = trial["statuses"].items()
    answers = ", ".join(f"{count} x {'no answer' if status == '0' else status}" for status, count in statuses)
    p99_ns = trial["latency_ns"]["P99"]
    refused, told = probes["turned_away"], probes["with_retry_after"]
    before, most, after = (f"{memory[when] / _MIB:.0f}" for when in ("before", "most", "after"))
    rows = [
        ["answers", answers, _goal("200 or 503 only", set(trial["statuses"]) <= {"200", "503"}, [trial])],
        [
            "P99 of the accepted",
            _duration(p99_ns),
            _goal("at most 1.5 s, with a queue of 1 s", p99_ns is not None and p99_ns <= ACCEPTED_NS, [trial]),
        ],
        ["Retry-After", f"on {told} of {refused} refusals of a probe", _goal("on all", told == refused > 0, [trial])],
        [
            "resident memory",
            f"{before} MiB before, {most} at most, {after} after",
            _goal("within 10 % after", memory["after"] <= 1.1 * memory["before"], [trial]),
        ],
    ]
    note = f"{5 * part['capacity_per_s']:.0f} requests in a second were asked for, Poisson arrivals.{_invalid([trial])}"
    return _section("Five times the capacity", ["", "measured", "goal"], rows, note)


def _clients(part: Part) -> str:
    rows = [[name, f"{cost_us:.0f} us"] for name, cost_us in part.items()]
    return _section("CPU time of one request on the client's side", ["library", "CPU time"], rows, "")


_DRAW = {"baseline": _baseline, "half": _half, "streams": _streams, "overload": _overload, "clients": _clients}
