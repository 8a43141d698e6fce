"""How long the registry takes."""
