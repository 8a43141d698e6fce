"""How much of a fault in the science the tests would see: mutants of ``latency`` and ``sla``, killed or not."""
