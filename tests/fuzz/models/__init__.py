"""Broken model files, and what every way in makes of each."""
