"""From a checkpoint to a promoted version, with real verdicts."""
