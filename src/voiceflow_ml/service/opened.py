"""A model file in a session of ONNX Runtime, ready to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voiceflow_ml.contract import Contract
from voiceflow_ml.contract.golden import Arrays
from voiceflow_ml.errors import ModelFileError, quoted
from voiceflow_ml.hardware.evidence import Severity
from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.inference.ort_session import Optimising, make_session
from voiceflow_ml.inference.placement import placement_finding, recorded_placement
from voiceflow_ml.service.ending import ended_after, run_endable
from voiceflow_ml.service.kept import KeptFiles


@dataclass(frozen=True, eq=False, kw_only=True)
class Opened:
    """A model in a session; any number of threads may run it at once.

    Attributes:
        contract: what its callers may rely on.
        session: the ONNX Runtime session.
        is_optimised: the file that was opened holds a graph that ONNX Runtime optimised before.
        kept: the files that were opened, for a comparison later; None where nobody will ask for them.
    """

    contract: Contract
    session: Any = field(repr=False)
    is_optimised: bool = False
    kept: KeptFiles | None = None

    def run(self, inputs: Arrays) -> Arrays:
        """Run the model once: arrays by input name in, arrays by output name out.

        Raises:
            ModelFileError: ONNX Runtime does not run it on these inputs.
        """
        names = [tensor.name for tensor in self.contract.outputs]
        try:
            outputs = run_endable(self.session, names, dict(inputs))
        except Exception as error:  # ONNX Runtime's exceptions have no common base but this
            raise ModelFileError(f"the model does not run: {quoted(error)}") from None
        return dict(zip(names, outputs, strict=True))

    def run_within(self, longest_s: float, inputs: Arrays) -> Arrays:
        """The same, ended where it takes longer; arguments and errors as in :meth:`run`."""
        with ended_after(longest_s):
            return self.run(inputs)


def open_file(
    path: Path, contract: Contract, target: Target, *, threads: int = 1, optimising: Optimising | None = None
) -> Opened:
    """Open a model file.

    Args:
        path: the file.
        contract: what it keeps.
        target: where it runs.
        threads: of one inference; the server runs several at once.
        optimising: what becomes of the graph.

    Raises:
        ModelFileError: it is not a model that ONNX Runtime takes, or a part of it would not run on the target.
    """
    session = make_session(path, target, threads=threads, spinning=False, optimising=optimising)
    if target.is_cuda:
        placement = placement_finding(recorded_placement(session), target)
        if placement.severity is Severity.INVALID:
            raise ModelFileError(f"on {target.name} {placement.sentence}")
    return Opened(contract=contract, session=session, is_optimised=optimising is not None and optimising.is_done)
