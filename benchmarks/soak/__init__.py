"""Half an hour of everything at once: see :mod:`benchmarks.soak.__main__`."""
