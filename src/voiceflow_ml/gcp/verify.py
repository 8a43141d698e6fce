"""Is a deployment what was promised? Its results, the placement they prove, and its server where it serves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from voiceflow_ml.contract.document import read_contract
from voiceflow_ml.contract.protocol import Server
from voiceflow_ml.contract.server import Check, verify_server
from voiceflow_ml.errors import CloudError, ContractError
from voiceflow_ml.files import atomic_path, hash_file
from voiceflow_ml.gcp.plan import TARGET, Plan
from voiceflow_ml.gcp.watch import read_ending
from voiceflow_ml.hardware.cuda_provider import CUDA_PROVIDERS
from voiceflow_ml.hardware.evidence import Severity, invalid_reasons
from voiceflow_ml.latency import Outcome
from voiceflow_ml.models.shipped import shipped_model_path
from voiceflow_ml.registry.store import Store
from voiceflow_ml.results.record import Result, State
from voiceflow_ml.results.sources import find_sessions
from voiceflow_ml.results.store import read_session

_MOST_FILES = 10_000
_OK = 200


def fetch_results(plan: Plan, store: Store, folder: Path) -> Path:
    """Copy what the machine measured into a folder.

    Args:
        plan: whose results.
        store: where the machine put them.
        folder: where to; the report of the run comes along.

    Returns:
        The one session in it.

    Raises:
        CloudError: the machine wrote no ending, or measured nothing.
        ResultError: what it wrote cannot be read.
    """
    ending = read_ending(plan, store)
    if ending is None:
        raise CloudError(f"run {plan.run_id} has written no outcome to {store.url}; it is under way, or it failed")
    if ending.pytest is None:
        raise CloudError(f"run {plan.run_id}: {ending.sentence}; voiceflow gcp up has shown why")
    for number, path in enumerate(_walk(store, f"{plan.folder}/reports")):
        if number == _MOST_FILES:
            raise CloudError(f"{store.url}/{plan.folder}/reports holds more than {_MOST_FILES} files")
        with atomic_path(folder / path.removeprefix(f"{plan.folder}/reports/")) as file:
            store.download(path, file)
    sessions = find_sessions(folder)
    if len(sessions) != 1:
        raise CloudError(f"{folder} holds {len(sessions)} sessions, a run leaves one; give another folder")
    return sessions[0]


def verify_results(plan: Plan, session: Path) -> tuple[Check, ...]:
    """Check what was measured: finished, on CUDA, the files of the plan, every promise kept.

    Raises:
        ResultError: the session cannot be read.
    """
    record, results = read_session(session)
    found = [result for result in results if result.planned.target == TARGET]
    checks = [
        Check("the run came to its end", "" if record.finished else "the session was not finished"),
        Check(f"promises of {TARGET} were measured", "" if found else "none was: sla.toml promises nothing of it"),
    ]
    for result in found:
        label = result.planned.label
        checks += [
            Check(f"placement on CUDA: {label}", _placement(result)),
            Check(f"the file that was planned: {label}", _file(plan, result)),
            Check(f"SLA: {label}", _promise(plan, result)),
        ]
    return tuple(checks)


def verify_service(url: str, contract_path: Path) -> tuple[Check, ...]:
    """Check the server of a deployment: live, ready, and everything that its contract says.

    Args:
        url: its address at this end of the tunnel.
        contract_path: ``contract.json``, or the folder of an export or a fetched version.

    Raises:
        ContractError: there is no server, or the contract cannot be read.
    """
    server = Server(url)
    checks = [_answers(server, path) for path in ("/livez", "/readyz")]
    folder = contract_path if contract_path.is_dir() else contract_path.parent
    return (*checks, *verify_server(server, read_contract(contract_path), folder))


def _answers(server: Server, path: str) -> Check:
    try:
        status = server.get(path).status
    except ContractError as error:
        return Check(path, str(error))
    return Check(path, "" if status == _OK else f"answers {status}, expected {_OK}")


def _placement(result: Result) -> str:
    if result.state is not State.MEASURED or result.measurement is None:
        return f"not measured: {result.reason or result.state}"
    invalid = invalid_reasons(result.measurement.findings)
    if invalid:
        return "; ".join(invalid)
    proofs = [f.fact for f in result.measurement.findings if f.severity is Severity.INFORMATION]
    if not any(f"ran on {provider}" in fact for fact in proofs for provider in CUDA_PROVIDERS):
        return "nothing in the result proves where it ran"
    return ""


def _file(plan: Plan, result: Result) -> str:
    facts = result.measurement.facts if result.measurement else {}
    sha256 = facts.get("model SHA-256", "")
    if sha256 in {each.sha256 for each in plan.artefacts} or sha256 == hash_file(shipped_model_path()):
        return ""
    return f"the measured file has SHA-256 {sha256 or 'unknown'}, which is none of the plan's and not the shipped model"


def _promise(plan: Plan, result: Result) -> str:
    if not result.outcomes:
        return f"no verdict: {result.reason or result.state}"
    names = zip(result.planned.limits_ns, result.outcomes, strict=True)
    kept = all(outcome is Outcome.MET for outcome in result.outcomes)
    said = ", ".join(f"{name} {outcome}" for name, outcome in names)
    if not kept:
        return said
    return f"{said}, on a Spot machine: not for publishing, measure again without --spot" if plan.spot else ""


def _walk(store: Store, folder: str) -> Iterator[str]:
    """Paths of all objects below a folder."""
    names, folders = store.names(folder), store.folders(folder)
    for name in (*names, *folders):
        if name in ("", ".", "..") or "/" in name or "\\" in name:
            raise CloudError(f"{store.url}/{folder} holds the name {name!r}, which no run writes; nothing is fetched")
    for name in sorted(names):
        yield f"{folder}/{name}"
    for name in sorted(folders):
        yield from _walk(store, f"{folder}/{name}")
