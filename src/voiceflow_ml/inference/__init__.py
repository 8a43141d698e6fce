"""Open a model on a target: a call with a stated timing boundary and proof of where it ran."""
