"""Load on a service: when requests are sent, what became of them, and whether the generator itself kept up.

An open loop sends by a schedule that does not wait for answers, as callers do that know nothing of each other; a
closed loop has so many callers, each of whom waits for its answer. Latency counts from when a request was *to be*
sent, so that a generator which is held up cannot make a service look fast. Needs the ``client`` extra.
"""

from __future__ import annotations

from voiceflow_ml.load.delays import PROFILES, DelayProfile, find_profile
from voiceflow_ml.load.plan import Kind, LoadPlan
from voiceflow_ml.load.trial import Trial

__all__ = ["PROFILES", "DelayProfile", "Kind", "LoadPlan", "Trial", "find_profile"]
