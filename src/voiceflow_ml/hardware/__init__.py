"""Targets, facts about this machine, and what those facts say about a measurement."""
