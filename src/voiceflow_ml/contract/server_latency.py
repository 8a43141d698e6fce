"""How long a server takes from a client's last byte sent to the result held, judged against a limit."""

from __future__ import annotations

from pathlib import Path

from voiceflow_ml.contract.golden import read_golden
from voiceflow_ml.contract.protocol import Server
from voiceflow_ml.contract.schema import Contract
from voiceflow_ml.contract.server import Check
from voiceflow_ml.errors import ContractError
from voiceflow_ml.latency import Outcome, SamplingPlan, judge, measure
from voiceflow_ml.latency.clock import Clock
from voiceflow_ml.latency.plan import fewest_for_met, planned_looks
from voiceflow_ml.latency.sampler import Watch, nobody_watches

QUANTILE = 0.99


def server_latency(
    server: Server,
    contract: Contract,
    folder: Path,
    *,
    limit_ns: int,
    time_budget_ns: int,
    clock: Clock | None = None,
    watch: Watch = nobody_watches,
) -> Check:
    """Judge the P99 of whole requests, one after the other, each with the first golden input as a raw tensor.

    Args:
        server: the server.
        contract: whose model is asked for.
        folder: where the golden files are.
        limit_ns: what the P99 must stay within.
        time_budget_ns: no new block of requests begins after this.
        clock: the clock; the machine's own by default.
        watch: told of the progress.

    Returns:
        A check that is right only when the verdict is MET; its problem is the verdict's sentence.

    Raises:
        ContractError: no golden pair, no answer, or an answer that is an error.
    """
    if not contract.golden:
        raise ContractError("the contract has no golden pair, so there is nothing to ask the server")
    inputs, _ = read_golden(folder, contract.golden[0])

    def call() -> None:
        answer = server.infer(contract.model, inputs, binary=True)
        if answer.status != 200:
            raise ContractError(f"infer answers {answer.status} under measurement; only answers of 200 are timed")

    plan = SamplingPlan(planned_looks([QUANTILE]), fewest_for_met(QUANTILE), time_budget_ns=time_budget_ns)
    run = measure(
        call,
        plan,
        clock=clock,
        watch=watch,
        decided=lambda channels: (
            judge(channels.wall_ns, limit_ns=limit_ns, quantile=QUANTILE).outcome is not Outcome.INCONCLUSIVE
        ),
    )
    verdict = judge(run.samples_ns, limit_ns=limit_ns, quantile=QUANTILE)
    name = f"P99 of whole requests is {verdict.outcome}"
    return Check(name, "" if verdict.outcome is Outcome.MET else verdict.sentence)
