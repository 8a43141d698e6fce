"""What a run is likely to cost, before anything costs: an estimate from a table that is declared here."""

from __future__ import annotations

from dataclasses import dataclass

from voiceflow_ml.gcp.plan import ACCELERATOR, MACHINE_TYPE, Plan

PRICES_AS_OF = "2025-01"
"""Month in which the table below was written down, by hand, from the public list prices of us-central1."""
_USD_PER_HOUR = {MACHINE_TYPE: 0.189999, ACCELERATOR: 0.35}
_DISK_USD_PER_GB_MONTH = 0.10
_HOURS_PER_MONTH = 730
NOTE = (
    f"an estimate from list prices of us-central1 as of {PRICES_AS_OF}, declared in this release and not asked for: "
    "other zones, taxes, discounts, network and storage differ; the bill is what counts"
)
SPOT_NOTE = "Spot costs less, by a discount that changes daily; the estimate leaves it out, so it is the most"


@dataclass(frozen=True)
class Estimate:
    """Cost of one run.

    Attributes:
        usd_per_hour: machine, accelerator and disk.
        most_usd: for the longest that the machine can run.
        note: what the numbers rest on.
    """

    usd_per_hour: float
    most_usd: float
    note: str

    @property
    def sentence(self) -> str:
        """The estimate for a reader."""
        return f"cost: at most {self.most_usd:.2f} USD ({self.usd_per_hour:.2f} USD per hour); {self.note}"


def estimate(plan: Plan) -> Estimate:
    """Estimate what a plan costs at most."""
    per_hour = sum(_USD_PER_HOUR.values()) + plan.disk_gb * _DISK_USD_PER_GB_MONTH / _HOURS_PER_MONTH
    note = f"{NOTE}; {SPOT_NOTE}" if plan.spot else NOTE
    return Estimate(per_hour, per_hour * plan.max_run_s / 3600, note)
