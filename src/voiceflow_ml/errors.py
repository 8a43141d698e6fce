"""Every error this package raises on purpose.

The tree::

    VoiceflowError
    ├── ConfigError (ValueError)      a declaration is wrong: sla.toml, a marker, an option
    │   ├── UnitError                 a duration without a unit, or not positive
    │   └── TargetError               a target nobody knows, or one that this machine lacks
    ├── SampleError (ValueError)      samples that no statistic may be computed from
    ├── ModelFileError                a model file that is missing, damaged or unfit for its inputs
    ├── DataError                     speech data or audio that cannot be used
    ├── TrainingError                 a training run that cannot start, resume or finish
    ├── ExportError                   an export that failed, or whose parity proof failed
    ├── ContractError                 a contract that cannot be read, or a model or server that breaks it
    ├── RegistryError                 a publish, promotion or fetch that is refused or fails
    │   └── IntegrityError            published content that is not what was published
    ├── ClientError                   a request to a service that brought no result
    │   ├── UnreachableError          nobody answered, or not in time
    │   ├── RefusedError              the service says that the request is wrong, or may not be made
    │   ├── BusyError                 the service has too much to do, and says when to come back
    │   └── AnswerError               the service failed, or answered what nobody can read
    ├── RemoteError                   another machine that cannot be reached, or failed in mid-run
    ├── ResultError                   a result file that cannot be read or written
    ├── PipelineError                 a model update that one of its steps refuses
    └── CloudError                    a cloud that refuses, fails or takes back what a plan asks for

A message is one sentence a user can act on: what is wrong (with the value),
what would be right, and where.
"""

from __future__ import annotations

_LONGEST_QUOTE = 300


def quoted(text: object, most: int = _LONGEST_QUOTE) -> str:
    """What a file, a caller or a library says, fit to stand in a sentence: one line, printable, and not too long.

    Args:
        text: anything; its ``str`` is taken, runs of white space as one blank and control characters as escapes.
        most: characters to keep; what is longer ends in ``...``.
    """
    # Cut first: a name may have megabytes, and an escape takes ten characters at most.
    line = " ".join(str(text)[: 10 * most].split())
    line = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
    return line if len(line) <= most else f"{line[: most - 3]}..."


class VoiceflowError(Exception):
    """Base of all errors of this package; catch it to catch them all."""


class ConfigError(VoiceflowError, ValueError):
    """A declaration (sla.toml, marker, command-line option) is wrong."""


class UnitError(ConfigError):
    """A quantity has no unit, an unknown unit, or a value that makes no sense."""


class TargetError(ConfigError):
    """A target that is not in the catalogue, or that this machine does not have."""


class SampleError(VoiceflowError, ValueError):
    """Samples are empty, negative, not integers, or otherwise unfit for a statistic."""


class ModelFileError(VoiceflowError):
    """A model file is missing, damaged, or does not take the declared inputs."""


class DataError(VoiceflowError):
    """Speech data or an audio file cannot be used."""


class TrainingError(VoiceflowError):
    """A training run cannot start, resume or finish."""


class ExportError(VoiceflowError):
    """An export failed, or the exported graph does not match the trained model."""


class ContractError(VoiceflowError):
    """A contract cannot be read, or a model or server does not keep it."""


class RegistryError(VoiceflowError):
    """A registry refuses or cannot do what was asked."""


class IntegrityError(RegistryError):
    """Published content differs from what was published."""


class ClientError(VoiceflowError):
    """A request to a service brought no result.

    Attributes:
        url: what was asked; empty where the error is about bytes alone.
        status: HTTP status of the answer; 0 when there was none.
        retry_after_s: after how many seconds the service asks to be tried again; None when it does not say.
    """

    def __init__(self, message: str, *, url: str = "", status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.url, self.status, self.retry_after_s = url, status, retry_after_s


class UnreachableError(ClientError):
    """Nobody answered, or not in time."""


class RefusedError(ClientError):
    """The service says that the request is wrong, or that the caller may not make it."""


class BusyError(ClientError):
    """The service has more to do than it can take on."""


class AnswerError(ClientError):
    """The service failed, or its answer cannot be read."""


class RemoteError(VoiceflowError):
    """Another machine cannot be reached, is not what is needed, or failed in mid-run."""


class ResultError(VoiceflowError):
    """A result file cannot be read or written."""


class CloudError(VoiceflowError):
    """A cloud refuses, fails or takes back what a plan asks for, or what ran there failed."""


class PipelineError(VoiceflowError):
    """A step of a model update refuses to go on; what was served before still is."""
