from __future__ import annotations

import subprocess
import sys

import pytest

from voiceflow_ml.service.memory import give_back_memory

_OVERLOAD = """
import sys, threading
import psutil
from voiceflow_ml.service.memory import map_bodies
if sys.argv[1] == "mapped":
    assert map_bodies()
process = psutil.Process()
# The first to be freed raises the size from which on glibc maps, unless that is held.
del (first := [bytearray(4_000_000)])[:]
bodies, kept = [], []
def receive():
    for _ in range(150):
        bodies.append(b"x" * 192_000)
        kept.append(b"y" * 700)
threads = [threading.Thread(target=receive) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
full = process.memory_info().rss
del bodies[:]
print((full - process.memory_info().rss) // 1_000_000)
"""


def freed_mb(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _OVERLOAD, how], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(not give_back_memory(), reason="this C library keeps no freed memory")
def test_bodies_that_are_gone_take_no_memory() -> None:
    # 600 bodies of 192 kB are 115 MB.
    assert freed_mb("mapped") > 100
