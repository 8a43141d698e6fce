"""The server is what its OpenAPI document says, whatever is asked: schemathesis asks.

``VOICEFLOW_FUZZ_EXAMPLES=500 pytest tests/integration/test_serve_openapi.py`` asks for longer.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract_models import NAME, contracted_model
from tests.servers import Local, ask, bearer, local_server

ROOT = Path(__file__).parents[2]
EXAMPLES = os.environ.get("VOICEFLOW_FUZZ_EXAMPLES", "")
TOKEN = ("--header", f"Authorization: {bearer()['Authorization']}")


def schemathesis(server: Local, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Everything that it checks, on every route; a 5xx is a failure, 503 too: one client alone fills no queue."""
    return subprocess.run(
        [
            *(Path(sys.executable).parent / "schemathesis", "--config-file", ROOT / "tests" / "schemathesis.toml"),
            *("run", f"{server.url}/openapi.json", "--seed", "1", "--workers", "1", "--no-color"),
            *("--generation-database", "none", "--max-examples", EXAMPLES or "3", "--warnings", "off", *arguments),
        ],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks", "PYTHONPATH": str(ROOT), "MODEL": NAME},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("token", "phases"), [((), "fuzzing,stateful"), (TOKEN, "coverage,fuzzing")])
def test_the_server_is_what_its_document_says(tmp_path: Path, token: tuple[str, ...], phases: str) -> None:
    folder = contracted_model(tmp_path / "served").parent
    with local_server(model=str(folder), queue_timeout_s=20) as server:
        done = schemathesis(server, tmp_path, *token, *(() if EXAMPLES else ("--phases", phases)))
        assert done.returncode == 0, done.stdout
        (tested,) = re.findall(r"Tested: (\d+)", done.stdout)
        document = ask(server.url, "/openapi.json").document
        assert int(tested) == sum(len(methods) for methods in document["paths"].values())
        swaps = ask(server.url, f"/v2/models/{NAME}").document["swaps"]
        # With the token versions were loaded, and refused; without it nothing was.
        assert (len(swaps) > 1) == bool(token)
        assert ask(server.url, "/readyz").status == 200
        assert server.parts.buffers.held_bytes == 0
