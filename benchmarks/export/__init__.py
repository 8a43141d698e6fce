"""Every variant of an export beside fp32: parity, error rate, size, and latency measured in turns."""
