"""What the converters of ONNX Runtime are used with."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

import onnx


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy, for a converter that changes what it is given."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep a converter's advice, which is followed here where it applies, off the terminal."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
