"""Changes of the served version: loads, refused loads, canaries, promotions, rollbacks, in turns."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.soak.bench import Bench, Served
from benchmarks.soak.judging import Trouble
from benchmarks.soak.material import Bad
from voiceflow_ml.client import exchanges
from voiceflow_ml.client.aio import AsyncClient
from voiceflow_ml.client.answers import Reply, read_object
from voiceflow_ml.client.exchanges import Exchange
from voiceflow_ml.errors import ClientError, UnreachableError
from voiceflow_ml.models.shipped import MODEL_NAME

CANARY_SHARE = 0.3


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: what it is.
        exchange: the request.
        status: of its answer.
        serves: places of the versions that may answer afterwards; None where nothing may change.
        code: of a refusal.
        anchors: whether it decides what is served, whatever was before.
    """

    name: str
    exchange: Exchange[dict[str, object]]
    status: int
    serves: tuple[int, ...] | None = None
    code: str = ""
    anchors: bool = False


def steps(sources: Sequence[str], bad: Sequence[Bad]) -> Iterator[Step]:
    """The steps, for ever; the first version serves at the beginning and after each round."""
    first, second = sources
    refused = itertools.cycle(bad)
    promote = Exchange("POST", "/v1/admin/promote-canary", read_object, b"{}", is_admin=True)
    # The wrong token stands in a header of its own, so the client adds none.
    wrong = {"Authorization": "Bearer nobody's"}
    stranger = Exchange("POST", "/v1/admin/rollback", read_object, b"{}", wrong)
    while True:
        yield Step("load", exchanges.load(MODEL_NAME, source=second), 200, (1,), anchors=True)
        yield _refused(next(refused))
        yield Step("load", exchanges.load(MODEL_NAME, source=first), 200, (0,), anchors=True)
        yield Step("canary", exchanges.load(MODEL_NAME, source=second, canary=CANARY_SHARE), 200, (0, 1))
        yield Step("load beside a canary (409)", exchanges.load(MODEL_NAME, source=first), 409)
        yield Step("promotion of the canary", promote, 200, (1,))
        yield _refused(next(refused))
        yield Step("rollback", exchanges.rollback(), 200, (0,))
        yield Step("rollback with a wrong token (401)", stranger, 401)


def _refused(bad: Bad) -> Step:
    return Step(f"refused load ({bad.code})", exchanges.load(MODEL_NAME, source=bad.source), 422, code=bad.code)


class Changes:
    """Makes the steps.

    Args:
        bench: of the soak.
        admin: asks with the token.
        served: says what is served.
    """

    def __init__(self, bench: Bench, admin: AsyncClient, served: Served) -> None:
        self._bench, self._admin, self._served = bench, admin, served
        self._versions = [one.version for one in bench.known]
        self._before = frozenset({self._versions[0]})
        # After a version was taken back by rule a step no longer finds what it counts on, until the next plain load.
        self._adrift, self._by_rule = False, 0

    async def run(self, every_s: float, those: Iterator[Step]) -> None:
        """Make a step every so often until the soak is over."""
        async for _ in self._bench.ticks(every_s):
            step = next(those)
            try:
                await self._step(step)
            except UnreachableError as error:
                self._bench.ledger.note(Trouble.LOST, f"{step.name}: {error}")
            except ClientError as error:
                self._bench.ledger.note(Trouble.STATUS, f"{step.name}: {error}")
            finally:
                self._served.step_ns = None

    async def _step(self, step: Step) -> None:
        begun_ns = self._bench.now_ns()
        # From here on nothing is judged until it is known what the step did.
        self._served.step_ns = begun_ns
        reply = await self._admin.reply(step.exchange)
        ended_ns = self._bench.now_ns()
        versions = await self._served.look()
        if reply.status == 200:
            self._bench.in_use.change(begun_ns, ended_ns, versions)
        self._adrift = self._adrift or self._served.by_rule > self._by_rule
        self._by_rule = self._served.by_rule
        problem = self._problem(step, reply, versions)
        if step.anchors and versions == self._wanted(step):
            self._adrift = False
        self._before = versions
        if problem:
            self._bench.ledger.note(Trouble.STATUS, f"{step.name}: {problem}")
        else:
            self._bench.ledger.changes[step.name] += 1

    def _problem(self, step: Step, reply: Reply, versions: frozenset[str]) -> str:
        """What is wrong with the outcome of a step; empty when it is as stated."""
        wanted = self._wanted(step)
        if reply.status not in ((step.status, 200, 409) if self._adrift else (step.status,)):
            return f"{reply.status} instead of {step.status}, {reply.body[:300].decode(errors='replace')}"
        if step.code and json.loads(reply.body).get("code") != step.code:
            return f"refused for {json.loads(reply.body).get('code')} instead of {step.code}"
        if versions != wanted and not self._adrift:
            return f"{', '.join(sorted(versions))} serves afterwards instead of {', '.join(sorted(wanted))}"
        return ""

    def _wanted(self, step: Step) -> frozenset[str]:
        return self._before if step.serves is None else frozenset(self._versions[place] for place in step.serves)
