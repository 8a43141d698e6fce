"""Versions of a model that nobody can change any more, and channels that say which of them is in use.

Importing this package is cheap; ``fsspec`` and ``semver`` (extra ``registry``) are imported by what needs them.
"""
