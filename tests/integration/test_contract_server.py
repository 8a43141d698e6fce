"""``contract verify-server`` against a real server on loopback, whole and with one fault at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.contract_models import NAME, contracted_model
from tests.v2_server import serving
from voiceflow_ml import cli
from voiceflow_ml.contract import read_contract
from voiceflow_ml.contract.protocol import Answer, Server
from voiceflow_ml.contract.server import verify_server
from voiceflow_ml.contract.server_latency import server_latency
from voiceflow_ml.errors import ContractError
from voiceflow_ml.latency import FakeClock
from voiceflow_ml.wire import Arrays


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return contracted_model(tmp_path_factory.mktemp("release"))


def problems(model: Path, *faults: str, token: str = "", reload: bool = True) -> dict[str, str]:
    with serving(model, NAME, *faults) as (url, _):
        checks = verify_server(Server(url, token=token), read_contract(model.parent), model.parent, reload=reload)
    assert len(checks) == 16 if reload else 14
    return {check.name: check.problem for check in checks if check.problem}


def test_a_server_that_keeps_the_contract_passes_every_check(model: Path) -> None:
    assert problems(model) == {}


@pytest.mark.parametrize(
    ("fault", "checks", "words"),
    [
        ("dead", {"live"}, "answers 503"),
        ("not-ready", {"ready", "model ready"}, "answers 503"),
        ("wrong-shape", {"metadata"}, "the contract says"),
        ("wrong-numbers", {"golden pairs, binary", "golden pairs, JSON"}, "y differs by 1"),
        ("nan", {"golden pairs, binary"}, "y differs by nan"),
        ("drops-outputs", {"golden pairs, binary"}, "output 'y' is missing"),
        ("odd-answer", {"golden pairs, JSON"}, "is not of the protocol"),
        ("silent-errors", {"no input is refused", "a body that is no JSON is refused"}, "without an object"),
        ("accepts-anything", {"another rank is refused", "an unknown model is refused"}, "answers 200"),
        ("dies-on-garbage", {"it still answers rightly afterwards"}, "infer answers 500"),
        ("no-reload", {"it loads the model again"}, "answers 405"),
        ("token", {"it loads the model again"}, "answers 401"),
    ],
)
def test_each_fault_is_found_and_named(model: Path, fault: str, checks: set[str], words: str) -> None:
    found = problems(model, fault)
    assert checks <= set(found)
    assert all(words in found[name] for name in checks)


def test_the_token_reaches_the_server(model: Path) -> None:
    assert problems(model, "token", token="secret") == {}


def test_a_server_that_is_not_there_is_one_sentence(model: Path) -> None:
    with serving(model, NAME) as (url, _):
        pass
    with pytest.raises(ContractError, match=r"no answer \(.*\); is the server up\?"):
        verify_server(Server(url), read_contract(model.parent), model.parent)
    with pytest.raises(ContractError, match="is not the address of a server"):
        Server("127.0.0.1:8000")


class TimedServer(Server):
    """Asks the real server once, then gives the same answer after a given time of a fake clock."""

    def __init__(self, url: str, clock: FakeClock, takes_ns: int) -> None:
        super().__init__(url)
        self.clock, self.takes_ns = clock, takes_ns
        self.first: Answer | None = None

    def infer(self, model: str, inputs: Arrays, *, binary: bool) -> Answer:
        self.clock.advance_ns(self.takes_ns)
        self.first = self.first or super().infer(model, inputs, binary=binary)
        return self.first


@pytest.mark.parametrize(("takes_ns", "verdict"), [(5_000_000, "MET"), (20_000_000, "BREACHED")])
def test_the_p99_of_whole_requests_is_judged(model: Path, takes_ns: int, verdict: str) -> None:
    clock = FakeClock()
    with serving(model, NAME) as (url, _):
        server = TimedServer(url, clock, takes_ns)
        check = server_latency(
            server, read_contract(model.parent), model.parent, limit_ns=10**7, time_budget_ns=10**12, clock=clock
        )
    assert check.name == f"P99 of whole requests is {verdict}"
    assert bool(check.problem) == (verdict != "MET")


def test_answers_that_are_errors_are_not_timed(model: Path) -> None:
    with serving(model, "another") as (url, _), pytest.raises(ContractError, match="infer answers 404"):
        server_latency(
            Server(url),
            read_contract(model.parent),
            model.parent,
            limit_ns=10**7,
            time_budget_ns=10**9,
            clock=FakeClock(),
        )


def verify_command(url: str, folder: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, ["contract", "verify-server", url, "--contract", str(folder), *options])
    return result.exit_code, result.output


def test_the_command_lists_the_checks_and_fails_when_one_does(model: Path) -> None:
    with serving(model, NAME) as (url, server):
        code, output = verify_command(url, model.parent, "--reload")
        assert server.loads == 1
    assert code == 0
    assert output.splitlines()[-1] == "16 of 16 checks passed"
    with serving(model, NAME, "wrong-numbers") as (url, _):
        code, output = verify_command(url, model.parent)
    assert code == 1
    assert "no  golden pairs, binary: golden pair 'ramp': y differs by 1; 1e-05 is allowed" in output
