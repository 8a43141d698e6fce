"""Reports, all made from the same results."""
