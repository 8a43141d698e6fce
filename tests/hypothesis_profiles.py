"""The profiles of property tests; a conftest.py of tests that use hypothesis calls :func:`load_profile`.

Not in a conftest.py that `pytest -m hardware` reads: a measurement does not import hypothesis.
"""

from __future__ import annotations

import os

from hypothesis import Phase, settings

CI, LONG, MUTATION = "ci", "long", "mutation"
VARIABLE = "HYPOTHESIS_PROFILE"
_CI_EXAMPLES = 100

# How long an example takes is never a reason to fail. In `ci` the same code always draws the same examples.
settings.register_profile(CI, deadline=None, derandomize=True, max_examples=_CI_EXAMPLES)
settings.register_profile(LONG, deadline=None, max_examples=2_000, print_blob=True)

# A mutant meets the same few examples each time, and which of those that kill it is the smallest does not matter.
settings.register_profile(
    MUTATION, deadline=None, derandomize=True, database=None, max_examples=25, phases=[Phase.explicit, Phase.generate]
)


def load_profile() -> None:
    """Load the profile that the environment names, else `ci`; ``--hypothesis-profile`` overrules it later."""
    settings.load_profile(os.environ.get(VARIABLE, CI))


def share_of_examples(share: float) -> settings:
    """Settings for a costly property: a share of the profile's examples, 10 at least."""
    return settings(max_examples=max(10, round(settings().max_examples * share)))
