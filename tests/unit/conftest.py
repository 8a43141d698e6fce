"""How property tests run here."""

from __future__ import annotations

import os

from hypothesis import settings

# How long an example takes is never a reason to fail, and CI draws the same examples for the same code.
settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("house")
