"""Measuring on another machine: the loop travels to it, samples and evidence come back, the verdict stays here.

Nothing of Ray is imported before somebody asks for a cluster.
"""
