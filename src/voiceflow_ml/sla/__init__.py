"""Declared promises: sla.toml in, frozen objectives out."""
