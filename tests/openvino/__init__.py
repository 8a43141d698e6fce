"""Placement on a provider that is not the CPU's; needs an environment of its own: ``make openvino``."""
