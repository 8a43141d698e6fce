"""``pytest --claims README.md docs``: each number that a document promises is a test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.pytest_plugin.state import is_worker

if TYPE_CHECKING:
    from voiceflow_ml.claims import Auditor, Finding, Judgement

_SUFFIXES = (".md", ".markdown")
_AUDITOR: pytest.StashKey[Auditor] = pytest.StashKey()
_PATHS: pytest.StashKey[list[str]] = pytest.StashKey()


def add_claims_option(group: pytest.OptionGroup) -> None:
    """Declare ``--claims``."""
    group.addoption(
        "--claims",
        nargs="*",
        default=None,
        metavar="PATH",
        help="also hold the numbers in these Markdown files and folders against the results of earlier runs; without "
        "any, those of [tool.voiceflow.claims] in pyproject.toml. Needs the extra claims. Give it last.",
    )


def add_documents(config: pytest.Config) -> None:
    """Let pytest collect the documents; where nothing else was named, them alone."""
    given: list[str] | None = config.getoption("--claims")
    if given is None:
        return
    auditor = _auditor(config)
    named = [str(config.invocation_params.dir / path) for path in given]
    paths = named or [str(config.rootpath / path) for path in auditor.settings.paths]
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise pytest.UsageError(f"--claims {missing[0]}: nothing is there; give Markdown files, or folders of them")
    asked_for_tests = config.args_source is pytest.Config.ArgsSource.ARGS
    config.stash[_PATHS] = paths
    config.args = [*(config.args if asked_for_tests else []), *paths]


def _auditor(config: pytest.Config) -> Auditor:
    """The auditor of this session's project, with its results read once."""
    known = config.stash.get(_AUDITOR, None)
    if known is not None:
        return known
    try:
        from voiceflow_ml.claims import Auditor, read_settings  # noqa: PLC0415

        return config.stash.setdefault(_AUDITOR, Auditor(read_settings(config.rootpath), datetime.now(UTC)))
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f'--claims needs {error.name}, which is not installed; run: pip install "voiceflow-ml[claims]"'
        ) from None
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None


def write_claims(config: pytest.Config) -> None:
    """Leave the ledger of what was found beside the results.

    Raises:
        ResultError: it cannot be written.
    """
    paths = config.stash.get(_PATHS, [])
    if not paths or config.option.collectonly or is_worker(config):
        return
    from voiceflow_ml.claims.ledger import write_ledger  # noqa: PLC0415

    auditor = _auditor(config)
    # Anew: with pytest-xdist it is others who collect. A document that cannot be audited is an error of its collection.
    with contextlib.suppress(ConfigError):
        audit = auditor.audit([Path(path) for path in paths])
        write_ledger(audit, auditor.settings.root / auditor.settings.ledger, auditor.court.now)


def collect_claims(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A document as a collector of its claims; None without ``--claims``, and for what is excluded or no Markdown."""
    if parent.config.getoption("--claims") is None or file_path.suffix not in _SUFFIXES:
        return None
    from voiceflow_ml.claims.audit import documents_in  # noqa: PLC0415

    if not documents_in([file_path], _auditor(parent.config).settings):
        return None
    collector: pytest.Collector = ClaimsFile.from_parent(parent, path=file_path)
    return collector


class ClaimsFile(pytest.File):
    """A document; its items are its claims, and one more where words are to be put right."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item for each claim, in order."""
        auditor = _auditor(self.config)
        try:
            finding = auditor.audit_file(self.path)
        except ConfigError as error:
            raise self.CollectError(str(error)) from None
        for judgement in finding.judgements:
            claim = judgement.claim
            name = f"{claim.line}:{claim.column} {claim.text}"
            yield ClaimItem.from_parent(self, name=name, judgement=judgement, strict=auditor.settings.strict)
        if finding.remarks:
            yield WordsItem.from_parent(self, name="words", finding=finding, strict=auditor.settings.strict)


class ClaimItem(pytest.Item):
    """One claim: confirmed it passes, refuted or stale it fails, and without a result it is skipped."""

    def __init__(self, *, judgement: Judgement, strict: bool, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.judgement = judgement
        self.strict = strict

    def runtest(self) -> None:
        """Make the claim's status the outcome."""
        from voiceflow_ml.claims.audit import FAILING  # noqa: PLC0415
        from voiceflow_ml.claims.judging import Status  # noqa: PLC0415
        from voiceflow_ml.claims.ledger import judgement_line  # noqa: PLC0415

        line = judgement_line(self.judgement)
        unverified = self.judgement.status is Status.UNVERIFIED
        if self.judgement.status in FAILING or (unverified and self.strict):
            pytest.fail(line, pytrace=False)
        if unverified:
            # Nothing is green without evidence.
            pytest.skip(line)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Point at the number."""
        return self.path, self.judgement.claim.line - 1, f"{self.judgement.status}: {self.judgement.claim.text}"


class WordsItem(pytest.Item):
    """The words of a document that hide a stage, and comments that bind nothing."""

    def __init__(self, *, finding: Finding, strict: bool, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.finding = finding
        self.strict = strict

    def runtest(self) -> None:
        """Fail for comments that are wrong, and under ``strict`` for words; else be an expected failure."""
        lines = "\n".join(f"{remark.where}: {remark.message}" for remark in self.finding.remarks)
        if self.strict or any(remark.fails for remark in self.finding.remarks):
            pytest.fail(lines, pytrace=False)
        pytest.xfail(lines)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Point at the document."""
        return self.path, None, f"words of {self.finding.path}"
