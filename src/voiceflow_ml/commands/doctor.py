"""``voiceflow doctor`` and ``voiceflow targets``: would a number from here count, and which hardware is this?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceflow_ml.commands.inputs import parse_inputs
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.targets import TARGETS

if TYPE_CHECKING:
    from voiceflow_ml.commands.examine import Report
    from voiceflow_ml.hardware.gpu import GpuProbe
    from voiceflow_ml.hardware.targets import Catalogue, Target

INVALID_EXIT_CODE = 1
_MARKS = {"information": "ok", "caution": "CAUTION", "invalid": "INVALID"}
_COLUMNS = ("target", "device", "cc", "memory", "boost", "fp32", "fp16", "int8", "bandwidth", "here")
_SlaFile = Annotated[Path, typer.Option("--sla-file", help="Targets that it states are known too.")]


def doctor_command(
    model: Annotated[str, typer.Argument(help="An .onnx file, or builtin:fast-cnn.")],
    target: Annotated[str, typer.Option(help="Where it should run: cpu, cuda-t4, ... (voiceflow targets).")] = "cpu",
    provider: Annotated[str, typer.Option(help="cpu, cuda, tensorrt or openvino; the target's own if not given.")] = "",
    boundary: Annotated[str, typer.Option(help="host-to-host or device-only.")] = "host-to-host",
    threads: Annotated[int, typer.Option(min=1, help="Intra-op threads of a CPU session.")] = 1,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="NAME=1x48000, NAME=speech.wav or NAME=array.npy; may repeat.")
    ] = None,
    sla_file: _SlaFile = Path("sla.toml"),
    json_file: Annotated[Path | None, typer.Option("--json", help="Write findings and facts to this file.")] = None,
) -> None:
    """Make every proof that a verdict rests on, without measuring, and print the list; exit code 1 if one fails."""
    from voiceflow_ml.commands.examine import Patient, examine  # noqa: PLC0415
    from voiceflow_ml.hardware.runtime import Boundary, RuntimeOptions  # noqa: PLC0415
    from voiceflow_ml.models.shipped import MODEL_NAME, shipped_model_path  # noqa: PLC0415

    if boundary not in list(Boundary):
        raise ConfigError(f"--boundary {boundary!r} is unknown; valid: {', '.join(Boundary)}")
    catalogue = _catalogue(sla_file)
    report = examine(
        Patient(
            path=shipped_model_path() if model == f"builtin:{MODEL_NAME}" else Path(model),
            target=catalogue.find(target),
            catalogue=catalogue,
            threads=threads,
            options=RuntimeOptions(provider=provider, boundary=Boundary(boundary)),
            inputs=parse_inputs(inputs or []),
        )
    )
    for line in _lines(report, target):
        typer.echo(line)
    if json_file is not None:
        _write(json_file, report, target)
    raise typer.Exit(INVALID_EXIT_CODE if report.invalid else 0)


def _lines(report: Report, target: str) -> list[str]:
    width = max(len(area) for area, _ in report.findings)
    lines = [f"{_MARKS[finding.severity]:8} {area:{width}}  {finding.sentence}" for area, finding in report.findings]
    cautions = f"{report.cautions} caution{'' if report.cautions == 1 else 's'}"
    if report.invalid:
        reasons = f"{report.invalid} reason{'' if report.invalid == 1 else 's'}"
        return [*lines, f"A measurement for {target} here would be INVALID: {reasons}, {cautions}"]
    return [*lines, f"A measurement for {target} here would count: {cautions}"]


def _write(path: Path, report: Report, target: str) -> None:
    from voiceflow_ml.results.store import write_atomically  # noqa: PLC0415

    findings = [{"area": area, **asdict(finding)} for area, finding in report.findings]
    content = {"target": target, "invalid": report.invalid, "findings": findings, "facts": dict(report.facts)}
    write_atomically(path, json.dumps(content, indent=1) + "\n")


def targets_command(sla_file: _SlaFile = Path("sla.toml")) -> None:
    """List the targets that a promise can be made for, and say which of them this machine is."""
    from voiceflow_ml.hardware.probe import probe_gpus, probe_machine  # noqa: PLC0415

    found = probe_gpus()
    for line in target_lines(_catalogue(sla_file), found):
        typer.echo(line)
    typer.echo(f"this machine: {probe_machine()['CPU']}; {found.describe()}")


def target_lines(catalogue: Catalogue, found: GpuProbe) -> list[str]:
    """One line for each target: name, what it is at best, and whether it is here.

    Args:
        catalogue: the targets.
        found: what the NVIDIA driver answered.
    """
    rows: list[tuple[str, ...]] = [_COLUMNS]
    rows += [_row(target, here=not target.is_cuda or found.has(target)) for target in catalogue.values()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(target: Target, *, here: bool) -> tuple[str, ...]:
    peaks, known = target.peaks, target.peaks.flops_per_s
    tera = [f"{known[name] / 1e12:g} T/s" if name in known else "-" for name in ("fp32", "fp16", "int8")]
    return (
        target.name + (f" ({target.stated_at})" if target.stated_at else ""),
        target.device_name or "this machine's CPU, peaks measured",
        ".".join(map(str, target.compute_capability or ())) or "-",
        f"{target.memory_gb} GB" if target.memory_gb else "-",
        f"{target.boost_clock_mhz} MHz" if target.boost_clock_mhz else "-",
        *tera,
        f"{peaks.bytes_per_s / 1e9:g} GB/s" if peaks.bytes_per_s else "-",
        "yes" if here else "",
    )


def _catalogue(sla_file: Path) -> Catalogue:
    """The targets of the project around, and those that ship."""
    if not sla_file.is_file():
        return TARGETS
    from voiceflow_ml.sla.load import load_sla  # noqa: PLC0415

    return load_sla(sla_file).catalogue
