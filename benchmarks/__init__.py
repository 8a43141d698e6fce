"""Measured comparisons, one for each claim; run from the root of a checkout: ``python -m benchmarks.NAME``."""
