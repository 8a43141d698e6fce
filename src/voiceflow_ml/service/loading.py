"""From a source to a version that may serve: each step must succeed, or the version in use stays.

The order is that of the cost: hashes, what the file states, what its contract says against that of the version in
use; only then is it tried, where nobody who is served has to wait for it (docs/adr/0013).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from voiceflow_ml.contract import Contract, diff
from voiceflow_ml.contract.diff import Level
from voiceflow_ml.contract.model_file import KNOWN_DOMAINS
from voiceflow_ml.contract.tensors import MOST_OF_PROBLEMS
from voiceflow_ml.errors import quoted
from voiceflow_ml.registry.registry import utc_now
from voiceflow_ml.service.scratch import scratch_folder
from voiceflow_ml.service.sources import Staged, stage
from voiceflow_ml.service.swaps import LoadRefused, Refusal, Step, made
from voiceflow_ml.service.trial import Candidate, Here, Trial
from voiceflow_ml.service.version import LoadedVersion

if TYPE_CHECKING:
    from voiceflow_ml.registry.registry import Registry

OPTIMISED = "voiceflow-optimised.onnx"


class Loader:
    """Loads versions of one model.

    Args:
        model: its name.
        registry: of that model; None where only folders and the shipped model can be loaded.
        trial: tries and opens versions.
        clock_ns: what steps are timed by.
        now: the time that is written down.
    """

    def __init__(
        self,
        model: str,
        registry: Registry | None = None,
        *,
        trial: Trial | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.model, self.registry = model, registry
        self._trial = trial or Here()
        self._clock_ns, self._now = clock_ns, now

    def load(self, source: str, served: LoadedVersion | None, steps: list[Step]) -> LoadedVersion:
        """Load a version; it takes as long as it takes.

        Args:
            source: as in :func:`voiceflow_ml.service.sources.stage`.
            served: the version in use, which the new one must not surprise the callers of; None when there is none.
            steps: gets every step that was made, the one that failed as well.

        Raises:
            LoadRefused: the version is not fit to serve.
        """
        # ONNX Runtime has read or mapped all that it needs when the session is made; nothing there is left with a name.
        with scratch_folder() as folder:
            with made("fetch and hash", steps.append, self._clock_ns) as note:
                staged = stage(source, self.model, self.registry, folder)
                note.append(staged.note)
            with made("contract", steps.append, self._clock_ns) as note:
                _check_stated(staged)
                note.append(_check_against(served, staged.contract))
            opened = self._trial(_candidate(staged, folder), served, steps.append)
        return LoadedVersion(
            contract=staged.contract,
            session=opened.session,
            is_optimised=opened.is_optimised,
            kept=opened.kept,
            model=self.model,
            version=staged.version,
            digest=staged.digest,
            loaded_at=self._now().isoformat(timespec="seconds"),
        )

    def close(self) -> None:
        """End a load that goes on, where it can be ended, and let no other come to its end."""
        self._trial.close()


def _candidate(staged: Staged, folder: Path) -> Candidate:
    # The shipped model lies in the package, where nothing is to be written.
    home = staged.path.parent if folder in staged.path.parents else folder
    return Candidate(staged.path, staged.contract, staged.golden_folder, home / OPTIMISED, staged.header.external_files)


def _check_stated(staged: Staged) -> None:
    header, contract = staged.header, staged.contract
    unknown = sorted(set(header.opset) - KNOWN_DOMAINS)
    if unknown:
        raise LoadRefused(
            Refusal.OPERATOR, f"it needs operators of {quoted(', '.join(unknown))}, which no runtime here brings along"
        )
    if dict(header.opset) != dict(contract.opset) or header.ir_version != contract.ir_version:
        raise LoadRefused(
            Refusal.OPSET,
            f"the file has opset {dict(header.opset)} and format (IR) {header.ir_version}, "
            f"its contract says {dict(contract.opset)} and {contract.ir_version}",
        )


def _check_against(served: LoadedVersion | None, contract: Contract) -> str:
    if served is None:
        return "nothing was served before"
    found = diff(served.contract, contract)
    if found.level is Level.MAJOR:
        reasons = quoted(
            "; ".join(change.reason for change in found.changes if change.level is Level.MAJOR), MOST_OF_PROBLEMS
        )
        raise LoadRefused(
            Refusal.CONTRACT_CHANGED,
            f"callers of {served.version} would break: {reasons}; start a server with this version beside this one",
        )
    return f"{found.level} change from {served.version}"
