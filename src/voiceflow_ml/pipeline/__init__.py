"""A model update as one command: checkpoint, export, contract, version, SLA, publish, canary, promote or roll back.

``plan`` (what is asked for) -> ``steps`` and ``proof`` and ``rollout`` (what is done, each from the step before) ->
``journal`` (what was done, so that a run that was stopped goes on) -> ``run`` (the order).
"""
