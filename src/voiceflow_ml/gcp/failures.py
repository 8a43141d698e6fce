"""The ways in which a run on a rented machine ends badly, each an error that says what to do.

::

    CloudError
    ├── ZoneExhaustedError   the zone has no such machine now: the next zone is tried
    ├── QuotaError           the project may not have such a machine: nothing else is tried
    ├── NameTakenError       another `up` made this run's machine: it is left alone
    ├── PreemptedError       a Spot machine was taken back
    └── StartupError         the start-up script failed: its last lines are shown
"""

from __future__ import annotations

from collections.abc import Sequence

from voiceflow_ml.errors import CloudError

QUOTAS = ("NVIDIA_T4_GPUS", "GPUS_ALL_REGIONS")
_EXHAUSTED = ("ZONE_RESOURCE_POOL_EXHAUSTED", "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "STOCKOUT")
_QUOTA = ("QUOTA_EXCEEDED", "quotaExceeded")


class ZoneExhaustedError(CloudError):
    """A zone has no machine with this accelerator at the moment."""


class QuotaError(CloudError):
    """The project's quota forbids the machine."""


class NameTakenError(CloudError):
    """There is a machine of this run already."""


class PreemptedError(CloudError):
    """Compute Engine took a Spot machine back."""


class StartupError(CloudError):
    """The start-up script did not get to its end."""


def failure(codes: Sequence[str], message: str, where: str) -> CloudError:
    """The error for what an operation or an answer said.

    Args:
        codes: error codes or reasons, as Compute Engine names them.
        message: its own words.
        where: what was asked for, and where.
    """
    said = " ".join(message.split()) or "no message"
    if any(code in _EXHAUSTED for code in codes):
        return ZoneExhaustedError(f"{where}: no T4 is to be had there now ({said})")
    if any(code in _QUOTA for code in codes):
        named = next((quota for quota in QUOTAS if quota in message), QUOTAS[0])
        return QuotaError(
            f"{where}: the quota {named} is used up ({said}); ask for more on the page IAM & Admin > Quotas of the "
            f"project (a new project has 0 of {' and '.join(QUOTAS)}), or end what uses it: voiceflow gcp sweep"
        )
    if "alreadyExists" in codes or "RESOURCE_ALREADY_EXISTS" in codes:
        return NameTakenError(f"{where}: there is such a machine already, of another `up` of this plan; plan again")
    return CloudError(f"{where}: {', '.join(codes) or 'refused'}: {said}")
