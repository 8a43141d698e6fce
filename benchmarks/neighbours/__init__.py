"""What verdicts say beside busy neighbours."""
