"""The measuring loop beside its peers, and what the loop itself costs."""
