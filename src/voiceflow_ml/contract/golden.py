"""Golden pairs: what goes in, what the trained network gives for it, and how far a runtime may be off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.contract.schema import Contract, Golden
from voiceflow_ml.errors import ContractError
from voiceflow_ml.files import atomic_path, hash_file

Arrays = Mapping[str, NDArray[np.generic]]
Run = Callable[[Arrays], Arrays]
"""Inputs by name -> outputs by name."""


def write_golden(
    folder: Path, name: str, inputs: Arrays, outputs: Arrays, max_abs_error: Mapping[str, float]
) -> Golden:
    """Write the arrays of a pair as ``.npy`` files.

    Args:
        folder: the folder of the contract; the files go into ``golden/`` there.
        name: what the pair is called.
        inputs: arrays by tensor name.
        outputs: likewise.
        max_abs_error: output name -> largest difference that is let pass.
    """
    files: dict[str, dict[str, str]] = {"inputs": {}, "outputs": {}}
    hashes = {}
    for kind, arrays in (("inputs", inputs), ("outputs", outputs)):
        for tensor, array in arrays.items():
            file = f"golden/{name}.{tensor}.npy"
            with atomic_path(folder / file) as temporary, temporary.open("wb") as stream:
                np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
            files[kind][tensor] = file
            hashes[file] = hash_file(folder / file)
    return Golden(name, files["inputs"], files["outputs"], hashes, dict(max_abs_error))


def read_golden(folder: Path, golden: Golden) -> tuple[Arrays, Arrays]:
    """The arrays of a pair: inputs, outputs.

    Raises:
        ContractError: a file is missing, outside of the folder, damaged, or not the one that the contract means.
    """
    return _read(folder, golden, golden.inputs), _read(folder, golden, golden.outputs)


def _read(folder: Path, golden: Golden, files: Mapping[str, str]) -> Arrays:
    arrays = {}
    for tensor, name in files.items():
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise ContractError(f"golden pair {golden.name!r}: {name!r} is outside of the contract's folder")
        path = folder / relative
        try:
            if hash_file(path) != golden.sha256.get(name):
                raise ContractError(f"{path} is not the file that the contract means (its hash differs)")
            arrays[tensor] = np.load(path, allow_pickle=False)
        except OSError as error:
            raise ContractError(f"{path} cannot be read: {error.strerror or error}") from None
        except (ValueError, EOFError) as error:
            raise ContractError(f"{path} is not an array: {error}") from None
    return arrays


def golden_problems(contract: Contract, folder: Path, run: Run) -> list[str]:
    """Run every golden pair and say what is off, one sentence each.

    Args:
        contract: the contract.
        folder: where its golden files are.
        run: the model under test.

    Raises:
        ContractError: a golden file cannot be used.
    """
    problems = []
    for golden in contract.golden:
        inputs, wanted = read_golden(folder, golden)
        given = run(inputs)
        problems += [
            f"golden pair {golden.name!r}: {problem}"
            for name, array in wanted.items()
            if (problem := _difference(name, array, given.get(name), golden.max_abs_error.get(name, 0.0)))
        ]
    return problems


def _difference(name: str, wanted: NDArray[np.generic], given: NDArray[np.generic] | None, limit: float) -> str:
    """What is wrong with an output; empty when it is right."""
    if given is None:
        return f"output {name!r} is missing"
    if given.shape != wanted.shape or given.dtype != wanted.dtype:
        return f"{name} is {given.dtype} {list(given.shape)}, expected {wanted.dtype} {list(wanted.shape)}"
    worst = float(np.abs(given.astype(np.float64) - wanted.astype(np.float64)).max(initial=0.0))
    # Written so that a NaN is a difference, too.
    return "" if worst <= limit else f"{name} differs by {worst:.3g}; {limit:.3g} is allowed"
