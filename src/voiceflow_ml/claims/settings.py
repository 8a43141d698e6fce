"""What an audit reads and how strict it is: ``[tool.voiceflow.claims]`` of pyproject.toml.

::

    [tool.voiceflow.claims]
    paths = ["README.md", "docs"]        # documents and folders of them
    exclude = ["docs/examples/*"]        # of those, not these
    results = ["reports/results"]        # folders of sessions, at any depth
    sla = "sla.toml"                     # whose models and promises claims can be about
    max-age-days = 90                    # older results make a claim STALE
    strict = false                       # UNVERIFIED fails, too

    [tool.voiceflow.claims.blocks.NAME]  # what stands between voiceflow:begin NAME and voiceflow:end
    render = "package.module:function"   # takes the content of the file, returns Markdown
    data = "benchmarks/results.json"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voiceflow_ml.errors import ConfigError

_TABLE = "tool.voiceflow.claims"
_LEDGER = Path("reports/results/claims.json")


@dataclass(frozen=True)
class BlockSource:
    """Where a marked block comes from.

    Attributes:
        render: ``"package.module:function"``.
        data: the JSON file that it is given, from the root folder.
    """

    render: str
    data: str


@dataclass(frozen=True)
class ClaimsSettings:
    """One audit's settings; all paths begin in ``root``.

    Attributes:
        root: the folder of pyproject.toml, or where the command was started.
        paths: documents and folders.
        exclude: patterns of documents that are left out.
        results: folders of sessions.
        sla: the promises' file.
        max_age_days: of results that still count.
        strict: whether UNVERIFIED and words without a stage fail.
        ledger: where what was found is written.
        blocks: name -> what a marked block comes from.
    """

    root: Path
    paths: tuple[str, ...] = ("README.md",)
    exclude: tuple[str, ...] = ()
    results: tuple[str, ...] = ("reports/results",)
    sla: str = "sla.toml"
    max_age_days: int = 90
    strict: bool = False
    ledger: Path = _LEDGER
    blocks: Mapping[str, BlockSource] = field(default_factory=dict)


def read_settings(root: Path) -> ClaimsSettings:
    """The settings of a project; what its pyproject.toml does not say has its default.

    Args:
        root: the project's folder.

    Raises:
        ConfigError: the file is not TOML, or the table has a key or a value that makes no sense.
    """
    path = root / "pyproject.toml"
    if not path.is_file():
        return ClaimsSettings(root)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    table: Any = content
    for key in _TABLE.split("."):
        table = table.get(key, {}) if isinstance(table, dict) else {}
    return _checked(root, table, str(path))


_KINDS: Mapping[str, type] = {
    "paths": list,
    "exclude": list,
    "results": list,
    "sla": str,
    "max-age-days": int,
    "strict": bool,
    "ledger": str,
    "blocks": dict,
}


def _checked(root: Path, table: Mapping[str, Any], where: str) -> ClaimsSettings:
    values: dict[str, Any] = {}
    for key, value in table.items():
        kind = _KINDS.get(key)
        if kind is None:
            raise ConfigError(f"{where}: {_TABLE}.{key} is unknown; known: {', '.join(_KINDS)}")
        if type(value) is not kind or not _makes_sense(value):
            wanted = {list: "a list of texts", int: "a whole number of days above 0", dict: "a table"}
            raise ConfigError(f"{where}: {_TABLE}.{key} is {value!r}; give {wanted.get(kind, f'a {kind.__name__}')}")
        values[key.replace("-", "_")] = tuple(value) if isinstance(value, list) else value
    if "ledger" in values:
        values["ledger"] = Path(values["ledger"])
    values["blocks"] = {name: _block(name, entry, where) for name, entry in values.get("blocks", {}).items()}
    return ClaimsSettings(root, **values)


def _makes_sense(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(entry, str) for entry in value)
    return not isinstance(value, int) or isinstance(value, bool) or value > 0


def _block(name: str, entry: object, where: str) -> BlockSource:
    if isinstance(entry, dict) and set(entry) == {"render", "data"}:
        render, data = entry["render"], entry["data"]
        if isinstance(render, str) and isinstance(data, str) and render.count(":") == 1:
            return BlockSource(render, data)
    raise ConfigError(
        f'{where}: {_TABLE}.blocks.{name} is {entry!r}; give render = "package.module:function" and data = "file.json"'
    )
