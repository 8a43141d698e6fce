"""Known vulnerabilities of what is installed, by pip-audit; says so when they could not be asked for.

pip-audit ends with status 0 and "No known vulnerabilities found" also where the index that it asked has no data at all.
Here that is status 3, and never taken for a clean answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

CLEAN, VULNERABLE, NOT_DONE = 0, 1, 3


def judged(dependencies: Sequence[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """Exit status and lines for what pip-audit wrote.

    Args:
        dependencies: its list of packages.
    """
    asked = [each for each in dependencies if "skip_reason" not in each]
    found = [(each, problem) for each in asked for problem in each.get("vulns", ())]
    lines = [
        f"{each['name']} {each['version']}: {problem['id']}; fixed in {', '.join(problem['fix_versions']) or 'nothing'}"
        for each, problem in found
    ]
    lines.append(f"{len(asked)} of {len(dependencies)} packages audited, {len(found)} known vulnerabilities")
    if found:
        return VULNERABLE, lines
    if not asked:
        lines.append("NOT DONE: this index has no vulnerability data; run it where the public one can be reached")
        return NOT_DONE, lines
    return CLEAN, lines


def main() -> int:
    """Ask, print, and return the exit status."""
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--skip-editable", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"NOT DONE: pip-audit failed: {reason}")
        return NOT_DONE
    status, lines = judged(dependencies)
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
