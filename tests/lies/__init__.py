"""Ways in which a latency number lies, each planted, and honest runs beside them."""
