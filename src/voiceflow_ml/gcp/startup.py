"""The script that the machine runs when it starts: fixed text below a head of quoted values."""

from __future__ import annotations

import shlex
from importlib import resources

from voiceflow_ml.gcp.plan import GPU, TARGET, Plan


def render_startup(plan: Plan) -> str:
    """The start-up script of a plan.

    Nothing is substituted inside the script: values are variables in front of it, each quoted for the shell, so no
    file name or address can become a command.
    """
    sums = "\n".join(f"{each.sha256}  {each.name}" for each in plan.artefacts)
    values = {
        "RUN_ID": plan.run_id,
        "STORE": plan.store.rstrip("/"),
        "GPU": GPU,
        "TARGET": TARGET,
        "MODEL": plan.served_model,
        "WHEEL": plan.wheel,
        "EXTRAS": "serve-gpu" if plan.serve else "gpu",
        # A machine that may be taken back shares its host with whoever pays more: its numbers bind nobody.
        "POLICY": "report-only" if plan.spot else "strict",
        "SERVE": "yes" if plan.serve else "no",
        "OFFLINE": "yes" if plan.offline else "no",
        "SHA256SUMS": sums,
    }
    head = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    body = resources.files("voiceflow_ml.gcp").joinpath("startup.sh").read_text(encoding="utf-8")
    return f"#!/bin/bash\n{head}{body}"
