"""No key, token or password of a known form is in a file of this repository."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

ROOT = Path(__file__).parents[2]
LARGEST_BYTES = 1 << 20
# detect-secrets' own scan takes minutes for this repository; its forms are what is wanted. Its detectors of what looks
# random are not: hashes of models and results do.
DETECTORS: Mapping[str, Any] = get_mapping_from_secret_type_to_class()
FORMS: Mapping[str, tuple[re.Pattern[str], ...]] = {
    kind: tuple(detector.denylist)
    for kind, detector in DETECTORS.items()
    # Addresses of machines are no secrets.
    if getattr(detector, "denylist", None) and kind != "Public IP (ipv4)"
}
MADE_UP = {
    # An address with a password, to test that it is not shown.
    ("tests/unit/test_service_settings.py", "Basic Auth Credentials"),
}


def found_in(text: str) -> set[str]:
    """The kinds of what looks like a secret."""
    return {kind for kind, forms in FORMS.items() if any(form.search(text) for form in forms)}


def test_no_file_holds_a_secret() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    texts = {
        str(file.relative_to(ROOT)): file.read_text(encoding="utf-8", errors="replace")
        for file in files
        if file.is_file() and file.stat().st_size < LARGEST_BYTES
    }
    assert len(texts) > 500
    assert {(name, kind) for name, text in texts.items() for kind in found_in(text)} == MADE_UP


def test_secrets_are_found() -> None:
    # Put together here, so that this file holds none.
    secrets = ("AKIA" + "QWERTYUIOPASDFGH", "ghp_" + "aB3" * 12, "-----BEGIN RSA " + "PRIVATE KEY-----")
    assert set().union(*(found_in(f'KEY = "{secret}"\n') for secret in secrets)) == {
        *("AWS Access Key", "GitHub Token", "Private Key")
    }
