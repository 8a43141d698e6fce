"""What it costs a measurement to be taken by an actor of Ray."""
