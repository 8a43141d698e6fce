"""Results: one versioned JSON file for each finished test."""
