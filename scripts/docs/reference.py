"""A hook of MkDocs: the reference is made when the site is built, from docstrings and from the real parsers.

Packages come by mkdocstrings, which reads source and imports nothing of it. Commands and options are asked of the very
objects that parse them, so that a page cannot say what the program does not take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PACKAGE = "voiceflow_ml"
FOLDER = "reference"

# Page -> the modules on it; none are the names that the package itself exports.
PAGES: Mapping[str, tuple[str, ...]] = {
    "latency": (),
    "sla": ("load", "objectives", "changes", "waivers", "measuring"),
    "hardware": ("targets", "runtime", "peaks", "roofline", "evidence", "probe", "gpu", "fake_nvml", "fake_gpu"),
    "inference": ("ort", "torch_model", "call", "declared", "floor", "graph_work", "placement"),
    "results": ("record", "measurement", "store", "sources", "diff", "merge"),
    "claims": (),
    "capacity": (),
    "contract": ("", "model_file", "check", "server"),
    "export": (),
    "registry": ("registry", "publish", "fetch", "release", "manifest", "gates", "channels", "versions"),
    "diarization": ("diarizer", "config", "turns", "offline", "online", "streaming", "segmenter", "evaluation"),
    "models": ("shipped", "fast_cnn", "transformer_config", "transformer", "powerset"),
    "training": ("config", "presets", "train", "evaluate"),
    "service": ("settings",),
    "client": ("", "sync", "aio", "stream", "updates"),
    "load": ("", "served", "server_process", "reloads"),
    "audio": ("",),
    "rttm": ("",),
    "live_turns": ("",),
    "units": ("",),
    "wire": ("",),
    "errors": ("",),
}
# What has no page of its own, and where it is told instead.
ELSEWHERE: Mapping[str, str] = {
    "cli": "commands.md",
    "commands": "commands.md",
    "pytest_plugin": "pytest.md",
    "gcp": "the commands of voiceflow gcp",
    "pipeline": "the command voiceflow pipeline",
    "remote": "the option --ray-address",
    "reporting": "the report, the command voiceflow report",
    "files": "how this package writes files; nobody else's business",
    "records": "how this package reads its own files; nobody else's business",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages into the navigation."""
    for section in config.nav or []:
        if "Reference" in section:
            section["Reference"] = [
                {"voiceflow": f"{FOLDER}/commands.md"},
                {"pytest": f"{FOLDER}/pytest.md"},
                *({f"{PACKAGE}.{name}": f"{FOLDER}/{name}.md"} for name in PAGES),
            ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for name, content in pages().items():
        files.append(File.generated(config, f"{FOLDER}/{name}.md", content=content))
    return files


def pages() -> dict[str, str]:
    """Name of a page -> its Markdown."""
    made = {"commands": commands_page(), "pytest": pytest_page()}
    return made | {name: package_page(name, modules) for name, modules in PAGES.items()}


def package_page(name: str, modules: Sequence[str]) -> str:
    """What a package gives to others, from its docstrings."""
    whole = f"{PACKAGE}.{name}"
    parts = [f"# {whole}"]
    if modules[:1] != ("",):
        # The docstring of the package, and what it exports if that is all there is to it.
        parts.append(_object(whole, "" if not modules else "members: []"))
    parts += [_object(f"{whole}.{module}" if module else whole) for module in modules]
    return "\n\n".join(parts) + "\n"


def _object(path: str, *options: str) -> str:
    level = ["heading_level: 2", *(option for option in options if option)]
    return "\n".join([f"::: {path}", "    options:", *(f"      {line}" for line in level)])


def commands_page() -> str:
    """Every command of ``voiceflow`` with its arguments and options, from the parser itself."""
    from voiceflow_ml.cli import app  # noqa: PLC0415 - a hook is loaded before the package is needed

    parts = ["# Commands", "Made from the parsers of `voiceflow` themselves; `voiceflow COMMAND --help` says the same."]
    for words, command in commands(typer.main.get_command(app), ("voiceflow",)):
        parts += _command(words, command)
    return "\n\n".join(parts) + "\n"


def commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A command of Typer and all below it, with the words that call them."""
    yield words, command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from commands(child, (*words, name))


def _command(words: tuple[str, ...], command: Any) -> list[str]:
    context = command.make_context(" ".join(words), [], resilient_parsing=True)
    usage = " ".join([*words, *command.collect_usage_pieces(context)])
    parts = [f"## {' '.join(words)}", _prose(command.help or ""), f"```text\n{usage}\n```"]
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [_row(_code(name), _cell(meaning)) for name, meaning in filter(None, records) if name != "--help"]
    if rows:
        parts.append("\n".join(["| parameter | meaning |", "|---|---|", *rows]))
    return [part for part in parts if part]


def _prose(text: str) -> str:
    """Help as Markdown: a paragraph that begins with a backspace is set as it stands."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(f"```text\n{part[1:].strip()}\n```" if part[0] == "\b" else part for part in paragraphs if part)


class Asked:
    """Stands where pytest's parser and configuration do, and keeps what the plugin says to them."""

    def __init__(self) -> None:
        self.options: list[tuple[tuple[str, ...], Mapping[str, Any]]] = []
        self.markers: list[str] = []

    def getgroup(self, *_: str) -> Asked:
        """The group that options are added to: this."""
        return self

    def addoption(self, *names: str, **attributes: Any) -> None:
        """Keep an option."""
        self.options.append((names, attributes))

    def addinivalue_line(self, _: str, line: str) -> None:
        """Keep a line, such as a marker's."""
        self.markers.append(line)


def pytest_page() -> str:
    """Options, markers and fixtures of the pytest plugin, from what it tells pytest."""
    from voiceflow_ml.hardware.targets import TARGETS  # noqa: PLC0415
    from voiceflow_ml.pytest_plugin.markers import register_markers  # noqa: PLC0415
    from voiceflow_ml.pytest_plugin.options import pytest_addoption  # noqa: PLC0415

    asked = Asked()
    pytest_addoption(cast(Any, asked))
    register_markers(cast(Any, asked), TARGETS)
    options = [
        _row(", ".join(map(_code, names)), _option_value(attributes), _cell(attributes.get("help", "")))
        for names, attributes in asked.options
    ]
    markers = [_row(_code(line.partition(": ")[0]), _cell(line.partition(": ")[2])) for line in asked.markers]
    return "\n\n".join(
        [
            "# The pytest plugin",
            "pytest finds the plugin by itself where the package is installed.",
            "## Options",
            "\n".join(["| option | value | meaning |", "|---|---|---|", *options]),
            "## Markers",
            "\n".join(["| marker | meaning |", "|---|---|", *markers]),
            "## Fixtures",
            _object(f"{PACKAGE}.pytest_plugin.fixtures", "heading_level: 3", "show_root_toc_entry: false"),
            "## Exit statuses",
            _object(f"{PACKAGE}.pytest_plugin.exit_status", "heading_level: 3", "show_root_toc_entry: false"),
            "",
        ]
    )


def _option_value(attributes: Mapping[str, Any]) -> str:
    choices = attributes.get("choices")
    value = " ".join(choices) if choices else attributes.get("metavar", "")
    return _code(value) if value else ""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")
