"""Say which extra is missing, instead of a traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from voiceflow_ml.errors import ConfigError


@contextlib.contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn a missing third-party module into one sentence with the line that installs it.

    Args:
        extra: The extra of this package that brings what the block imports.

    Raises:
        ConfigError: A module that is not of this package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "voiceflow_ml":
            raise
        raise ConfigError(
            f'this command needs {missing}, which is not installed; run: pip install "voiceflow-ml[{extra}]"'
        ) from error
