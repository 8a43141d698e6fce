"""``voiceflow publish | promote | rollback | list | fetch | verify | yank``: versions that never change."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.errors import ConfigError, RegistryError

if TYPE_CHECKING:
    from voiceflow_ml.registry.registry import Registry
    from voiceflow_ml.results.record import Result

REGISTRY_VARIABLE = "VOICEFLOW_REGISTRY"

_PUBLISH_HELP = """\
Publish the folder of an export as a version that nobody can change any more.

Refused are: a model that breaks its contract; a version step smaller than what changed; a promise of the contract \
without a MET verdict about this very file (--results); an error rate worse than that of the version in use in the \
channel. A refusal can be waived with a reason, which is published with the version.

\b
Examples:
  voiceflow publish out 1.4.0 --registry gs://bucket/models --results reports/results
  voiceflow publish out 1.4.0 --results reports/results --waive "sla:cuda-t4=no T4 until Monday"
"""

_Url = Annotated[
    str,
    typer.Option(
        "--registry", envvar=REGISTRY_VARIABLE, help="file:///folder, gs://bucket/folder or s3://bucket/folder."
    ),
]
_Who = Annotated[str | None, typer.Option(help="Who does it (default: the name of the user).")]
_Channel = Annotated[str, typer.Option(help="Name of the channel.")]
_Why = Annotated[str, typer.Option(help="The reason, kept for good.")]
_Version = Annotated[str, typer.Argument(help="MODEL@VERSION, such as fast-cnn@1.4.0.")]
_Reference = Annotated[str, typer.Argument(help="MODEL@VERSION or MODEL@CHANNEL.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("publish", help=_PUBLISH_HELP)(publish_command)
    app.command("promote")(promote_command)
    app.command("rollback")(rollback_command)
    app.command("list")(list_command)
    app.command("fetch")(fetch_command)
    app.command("verify")(verify_command)
    app.command("yank")(yank_command)


def publish_command(
    folder: Annotated[Path, typer.Argument(help="Folder that voiceflow export wrote.")],
    version: Annotated[str, typer.Argument(help="Semantic version, such as 1.4.0.")],
    registry: _Url,
    results: Annotated[
        list[Path] | None,
        typer.Option(help="Session that holds the verdicts, such as one of reports/results; may repeat."),
    ] = None,
    channel: Annotated[str, typer.Option(help="Its version in use is what error rates are compared with.")] = "prod",
    der_tolerance: Annotated[float, typer.Option(min=0.0, help="Percentage points by which they may be worse.")] = 0.5,
    waive: Annotated[list[str] | None, typer.Option(help="GATE=REASON: der, or sla:TARGET; may repeat.")] = None,
    who: _Who = None,
) -> None:
    """Publish a release; the help text is ``_PUBLISH_HELP``."""
    from voiceflow_ml.contract.document import read_contract  # noqa: PLC0415
    from voiceflow_ml.registry.gates import Tolerances  # noqa: PLC0415
    from voiceflow_ml.registry.publish import Terms, publish  # noqa: PLC0415

    tolerances, waived = Tolerances(der_tolerance), waivers(waive or [])
    model = read_contract(folder).model
    # Releases of others may come without the record that a card is rendered from.
    card = _card if (folder / f"{model}.json").is_file() else None
    terms = Terms(user_name(who), channel, _results(results or []), waived, tolerances, card)
    with needs_extra("export"):
        manifest = publish(_open(registry, model), folder, version, terms, typer.echo)
    against = f", {manifest.level} against {manifest.base}" if manifest.base else ", the first version"
    typer.echo(f"published {manifest.model} {manifest.version}: {len(manifest.files)} files{against}")
    for line in (*manifest.changes, *manifest.verdicts):
        typer.echo(f"  {line}")


def promote_command(
    version: _Version, registry: _Url, channel: _Channel = "prod", why: _Why = "", who: _Who = None
) -> None:
    """Put a version into use in a channel."""
    model, number = _reference(version)
    promotion = _open(registry, model).promote(number, channel, who=user_name(who), why=why)
    typer.echo(f"{channel} of {model} is {promotion.version} now (promotion {promotion.number})")


def rollback_command(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    registry: _Url,
    channel: _Channel = "prod",
    why: _Why = "",
    who: _Who = None,
) -> None:
    """Put into use again what a channel had before; once more goes one further back."""
    promotion = _open(registry, model).rollback(channel, who=user_name(who), why=why)
    typer.echo(f"{channel} of {model} is {promotion.version} again (promotion {promotion.number})")


def list_command(model: Annotated[str, typer.Argument(help="Name of the model.")], registry: _Url) -> None:
    """List all versions of a model, with the channels that have them in use."""
    entries = _open(registry, model).list()
    if not entries:
        raise RegistryError(f"{registry} has no version of {model}")
    for entry in entries:
        notes = [*entry.channels, *([f"yanked: {entry.yanked}"] if entry.yanked else [])]
        typer.echo(f"{entry.version}  {', '.join(notes)}".rstrip())


def fetch_command(
    reference: _Reference,
    registry: _Url,
    out: Annotated[Path, typer.Option(help="New folder for the files.")],
) -> None:
    """Copy a version into a folder, every file checked against its published hash."""
    from voiceflow_ml.registry.fetch import fetch  # noqa: PLC0415

    model, name = _reference(reference)
    manifest = fetch(_open(registry, model), name, out, typer.echo)
    typer.echo(f"{model} {manifest.version} is in {out}: {len(manifest.files)} files, all as published")


def verify_command(
    what: Annotated[str, typer.Argument(help="MODEL@VERSION, MODEL@CHANNEL, or a folder that was fetched.")],
    registry: Annotated[
        str | None, typer.Option(envvar=REGISTRY_VARIABLE, help="Address, unless it is a folder.")
    ] = None,
) -> None:
    """Check every file of a version, in the registry or in a folder, against its published hash."""
    from voiceflow_ml.registry.fetch import load, verify  # noqa: PLC0415

    if Path(what).is_dir():
        manifest = load(Path(what))
    elif registry is None:
        raise ConfigError(f"{what!r} is not a folder, and no registry is named; give --registry or {REGISTRY_VARIABLE}")
    else:
        model, name = _reference(what)
        manifest = verify(_open(registry, model), name)
    typer.echo(f"{manifest.model} {manifest.version}: {len(manifest.files)} files, all as published")


def yank_command(version: _Version, registry: _Url, why: _Why, who: _Who = None) -> None:
    """Mark a version so that it is never promoted again; fetching it by its number still works."""
    model, number = _reference(version)
    _open(registry, model).yank(number, who=user_name(who), why=why)
    typer.echo(f"{model} {number} is yanked: {why}")


def _card(folder: Path, verdicts: tuple[str, ...]) -> str:
    from voiceflow_ml.reporting.model_card import TEMPLATES, render_card  # noqa: PLC0415

    return render_card(folder, TEMPLATES, verdicts)


def _open(url: str, model: str) -> Registry:
    from voiceflow_ml.registry.registry import Registry  # noqa: PLC0415
    from voiceflow_ml.registry.store import Store  # noqa: PLC0415

    with needs_extra("registry"):
        import fsspec  # noqa: F401, PLC0415
        import semver  # noqa: F401, PLC0415
    return Registry(Store(url), model)


def _reference(text: str) -> tuple[str, str]:
    model, _, name = text.partition("@")
    if not (model and name):
        raise ConfigError(f"{text!r} names no version; write MODEL@VERSION or MODEL@CHANNEL, such as fast-cnn@prod")
    return model, name


def user_name(given: str | None) -> str:
    """The name that was given, or that of the user.

    Raises:
        ConfigError: neither.
    """
    try:
        return given or getpass.getuser()
    except (OSError, KeyError):
        raise ConfigError("the user has no name here; say who does this with --who") from None


def waivers(texts: list[str]) -> dict[str, str]:
    """Gate -> reason, from ``GATE=REASON``.

    Raises:
        ConfigError: one without a reason.
    """
    waived = {}
    for text in texts:
        gate, separator, reason = text.partition("=")
        if not separator:
            raise ConfigError(f"--waive {text!r}: write GATE=REASON, such as der=new-test-set")
        waived[gate.strip()] = reason.strip()
    return waived


def _results(folders: list[Path]) -> list[Result]:
    from voiceflow_ml.results.sources import find_sessions  # noqa: PLC0415
    from voiceflow_ml.results.store import read_session  # noqa: PLC0415

    return [result for folder in folders for session in find_sessions(folder) for result in read_session(session)[1]]
