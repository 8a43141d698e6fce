"""Fuzz: broken model files and hostile text, by every way in."""
