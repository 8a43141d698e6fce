"""docs/examples/gcp.txt is what its command writes now, and the scripts are doors to commands that exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.gcp_transcript import TRANSCRIPT, transcript

SCRIPTS = sorted((Path(__file__).parents[2] / "scripts" / "gcp").iterdir())


def test_the_transcript_is_what_its_command_writes() -> None:
    text = transcript()
    assert text == TRANSCRIPT.read_text(encoding="utf-8")
    left = [line for line in text.splitlines() if line.startswith("[machines in the project now:")]
    # One scene forbids the clean-up, and a killed run is swept up by the next command.
    assert [line for line in left if "none" not in line] == [left[7], left[8]]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_a_door_to_a_command(script: Path) -> None:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run([script, "--help"], env={"PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: voiceflow gcp" in done.stdout
    assert "FOLDER" in done.stdout
