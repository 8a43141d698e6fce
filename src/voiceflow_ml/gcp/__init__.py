"""Measure on a T4 that is not here: one plan, one virtual machine on Google Compute Engine, nothing left behind.

``plan`` (what is asked for) -> ``requests`` (what is sent, and printed) -> ``api`` (Google's client library) ->
``deploy`` (create, watch, delete) -> ``verify``. Google's library is imported in ``requests`` and ``api`` alone.
"""
