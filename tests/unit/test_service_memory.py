from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from voiceflow_ml.service.memory import Ebb, give_back_memory

_OVERLOAD = """
import sys
import psutil
from voiceflow_ml.service.memory import give_back_memory, keep_heap
assert keep_heap()
process = psutil.Process()
bodies, kept = [], []
for _ in range(int(sys.argv[2])):
    bodies.append(b"x" * 192_000)
    kept.append(b"y" * 700)
full = process.memory_info().rss
del bodies[:]
if sys.argv[1] == "given back":
    give_back_memory()
print((full - process.memory_info().rss) // 1_000_000)
"""


def freed_mb(how: str, bodies: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _OVERLOAD, how, str(bodies)], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(not give_back_memory(), reason="this C library keeps no freed memory")
def test_bodies_that_are_gone_are_kept_for_the_next_and_then_given_back() -> None:
    # 40 bodies of 192 kB are 8 MB, 600 are 115 MB.
    assert freed_mb("kept", 40) < 2
    assert freed_mb("given back", 600) > 100


def test_memory_is_given_back_once_after_bursts_that_follow_one_another() -> None:
    calls, given = [], threading.Event()

    def give_back() -> None:
        calls.append(threading.current_thread())
        given.set()

    ebb = Ebb(0.2, give_back)
    for _ in range(3):
        ebb()
    assert given.wait(30)
    given.clear()
    calls[0].join(30)
    ebb()
    assert given.wait(30)
    assert len(calls) == 2
    assert threading.current_thread() not in calls
