"""Try a published version as a server would run it: fetched, hashed, loaded, asked everything of its contract."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voiceflow_ml.contract.protocol import Server
from voiceflow_ml.contract.server import Check, verify_server
from voiceflow_ml.errors import PipelineError
from voiceflow_ml.pipeline.plan import PipelinePlan
from voiceflow_ml.registry.fetch import fetch
from voiceflow_ml.registry.registry import Registry

_START_S = 120.0
_STOP_S = 40.0


def try_canary(plan: PipelinePlan, registry: Registry, version: str) -> tuple[Check, ...]:
    """Serve the canary channel on loopback and hold the server to the contract of the version.

    Returns:
        Every check; the first is that the server serves this version.

    Raises:
        PipelineError: it does not start.
        IntegrityError: the published files are not what was published.
    """
    folder = plan.work / "canary" / version
    manifest = fetch(registry, version, folder)
    with _serving(plan, registry.model) as url:
        from voiceflow_ml.contract import read_contract  # noqa: PLC0415

        server = Server(url)
        served = server.get(f"/v2/models/{registry.model}").document
        found = served.get("versions", []) if isinstance(served, dict) else []
        right = Check(
            f"it serves {manifest.version}", "" if manifest.version in found else f"it serves {found or 'nothing'}"
        )
        return (right, *verify_server(server, read_contract(folder), folder))


@contextmanager
def _serving(plan: PipelinePlan, model: str) -> Iterator[str]:
    command = [sys.executable, "-m", "voiceflow_ml.cli", "serve", "--host", "127.0.0.1", "--port", "0"]
    command += ["--registry", plan.registry, "--model", model, "--channel", plan.canary, "--threads", "1"]
    # Settings of a service of this machine must not reach the one that is tried.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOICEFLOW_")}
    log = plan.work / "canary" / "server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        said: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=_listen, args=(process, said, log))
        reader.start()
        try:
            url = said.get(timeout=_START_S)
            if not url:
                last = log.read_text(encoding="utf-8").strip().splitlines()[-1:] or ["it said nothing"]
                raise PipelineError(f"the canary's server did not start: {last[0]}")
            yield url
        except queue.Empty:
            raise PipelineError(f"the canary's server was not up within {_START_S:.0f} s; see {log}") from None
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join()


def _listen(process: subprocess.Popen[str], said: queue.Queue[str], log: Path) -> None:
    """Keep what the server says, and pass on its address; an empty one when it ended."""
    with log.open("w", encoding="utf-8") as kept:
        for line in process.stderr or ():
            kept.write(line)
            kept.flush()
            if '"listening"' in line:
                said.put(str(json.loads(line)["url"]))
    said.put("")
