"""Our models beside the original design's network, a well-known one, and complete diarizers."""
