"""How many machines a service needs: a queue simulated from measured latencies. Pure; numpy alone.

What stands on it is a plan, not a verdict: nothing here has been measured under the load that it predicts.
"""

from __future__ import annotations

from voiceflow_ml.capacity.durations import Durations, declared_durations, sampled_durations
from voiceflow_ml.capacity.machine import Machine
from voiceflow_ml.capacity.plan import Plan, plan_machines
from voiceflow_ml.capacity.simulation import Forecast, forecast

__all__ = [
    "Durations",
    "Forecast",
    "Machine",
    "Plan",
    "declared_durations",
    "forecast",
    "plan_machines",
    "sampled_durations",
]
