"""The results as Markdown: what the run prints, and what the documentation shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.marked import table

_NONE = "-"


def render(results: dict[str, Any]) -> str:
    """Everything that a run found.

    Args:
        results: As :mod:`benchmarks.models.report` writes it.
    """
    parts = [
        _intro(results),
        "Single networks, `[1, 48000]` (3 s), one thread:",
        nets_table(results["nets"]),
        _net_notes(results["nets"]),
        "Local DER of windows of 3 s, each by itself (missed + false alarm + confused, % of the speech):",
        local_table(results["local_der"]),
        "Complete diarizers (DER in % of the speech = missed + false alarm + confused):",
        diarizers_table(results["diarizers"], results["sets"]),
        _absent(results["diarizers"]),
        "DER of each real recording:",
        files_table(results["diarizers"], [name for name, is_real in results["sets"].items() if is_real]),
    ]
    return "\n\n".join(part for part in parts if part)


def nets_table(nets: Sequence[dict[str, Any]]) -> str:
    """Latency, size and work of single networks."""
    heads = (
        "network",
        "median",
        "P99",
        "by the wall clock",
        "median, times ours",
        "P99, times ours",
        "parameters",
        "file",
        "GFLOP",
        "of peak",
    )
    rows = []
    for net in nets:
        if not net["samples"]:
            rows.append([net["name"], *[_NONE] * (len(heads) - 1)])
            continue
        rows.append(
            [
                net["name"],
                f"{net['median_ns'] / 1e6:.2f} ms",
                f"{net['p99_ns'] / 1e6:.2f} ms",
                f"{net['wall_median_ns'] / 1e6:.2f} / {net['wall_p99_ns'] / 1e6:.2f} ms",
                _ratio(net["times_median"]),
                _ratio(net["times_p99"]),
                f"{net['parameters'] / 1e6:.2f} M",
                f"{net['size_bytes'] / 1e6:.1f} MB",
                f"{net['flops'] / 1e9:.2f}",
                f"{net['peak_share']:.0%}",
            ]
        )
    return table(heads, rows)


def local_table(local: dict[str, dict[str, Any]]) -> str:
    """Local DER: a row for each network, a column for each set."""
    sets = list(next(iter(local.values()), {}))
    rows = [
        [
            name,
            *(
                f"{found[one]['local_der_percent']:.1f} ({found[one]['missed_percent']:.1f} + "
                f"{found[one]['false_alarm_percent']:.1f} + {found[one]['confused_percent']:.1f})"
                for one in sets
            ),
        ]
        for name, found in local.items()
    ]
    return table(("network", *sets), rows)


def diarizers_table(diarizers: Sequence[dict[str, Any]], sets: Iterable[str]) -> str:
    """DER with its parts on each set, RTF over all on both clocks, and memory."""
    names = list(sets)
    rows = []
    for one in diarizers:
        cells = [_der(one["scores"].get(name)) for name in names]
        rtf = [_NONE if one[clock] is None else f"{one[clock]:.3f}" for clock in ("rtf", "wall_rtf")]
        rows.append([one["name"], *cells, *rtf, f"{one['peak_mb']} MB" if one["peak_mb"] else _NONE])
    return table(("diarizer", *names, "RTF", "RTF, wall", "memory"), rows)


def files_table(diarizers: Sequence[dict[str, Any]], sets: Iterable[str]) -> str:
    """A row for each recording, a column for each diarizer that was run."""
    ran = [one for one in diarizers if one["scores"]]
    rows = []
    for name in sets:
        files = [file["name"] for file in ran[0]["scores"].get(name, {"files": []})["files"]] if ran else []
        for place, file in enumerate(files):
            rows.append([file, *(_file(one["scores"].get(name), place) for one in ran)])
    return table(("recording", *(one["name"] for one in ran)), rows)


def _intro(results: dict[str, Any]) -> str:
    machine, load = results["machine"], results["load_average"]
    sets = ", ".join(
        f"{name} {length['recordings']} x {length['seconds'] / length['recordings']:.0f} s"
        for name, length in results["lengths"].items()
    )
    return (
        f"{results['date']}, {machine}; load average {load[0]:.1f} before and {load[1]:.1f} after. "
        f"Fast CNN is the shipped file, SHA-256 `{results['model_sha256'][:12]}`. "
        f"Recordings: {sets}; {results['rules']}. "
        f"The core's measured float32 peak: {results['peak_gflops']:.0f} GFLOP/s."
    )


def _net_notes(nets: Sequence[dict[str, Any]]) -> str:
    return "\n".join(f"- {net['name']}: {net['note']}{_calls(net)}" for net in nets)


def _calls(net: dict[str, Any]) -> str:
    return f" ({net['samples']} calls)" if net["samples"] else ""


def _absent(diarizers: Sequence[dict[str, Any]]) -> str:
    return "\n".join(f"- {one['name']}: {one['absent'] or one['note']}" for one in diarizers)


def _ratio(ratio: dict[str, Any]) -> str:
    if ratio["low"] == ratio["high"] == 1.0:
        return "1"
    if ratio["low"] is None or ratio["high"] is None:
        return f"{ratio['value']:.1f}"
    return f"{ratio['value']:.1f} ({ratio['low']:.1f} to {ratio['high']:.1f})"


def _der(score: dict[str, Any] | None) -> str:
    if score is None:
        return _NONE
    total = score["total"]
    parts = " + ".join(f"{total[f'{part}_percent']:.1f}" for part in ("missed", "false_alarm", "confused"))
    return f"{total['der_percent']:.1f} ({parts})"


def _file(score: dict[str, Any] | None, place: int) -> str:
    return _NONE if score is None else f"{score['files'][place]['der_percent']:.1f}"
