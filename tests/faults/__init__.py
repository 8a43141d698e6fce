"""Faults planted in whole runs of pytest: whatever ends a run, nothing that had finished is lost."""
