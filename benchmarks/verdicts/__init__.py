"""How often verdicts are wrong: ours and others, on noise whose true quantiles are known."""
