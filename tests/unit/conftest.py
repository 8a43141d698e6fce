"""How property tests run here."""

from __future__ import annotations

from tests.hypothesis_profiles import load_profile

load_profile()
from hypothesis import Phase, settings

# How long an example takes is never a reason to fail, and CI draws the same examples for the same code.
settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")))
# A mutant meets the same few examples each time, and which of those that kill it is the smallest does not matter.
settings.register_profile(
    "mutation", deadline=None, derandomize=True, database=None, max_examples=25, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile(os.environ.get("VOICEFLOW_HYPOTHESIS_PROFILE", "house"))
