"""Arguments of the `hardware` and `sla` markers: whatever they are, a promise or one error that names the argument."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.documents import EXTREMES, is_one_sentence, refusal
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.targets import TARGETS
from voiceflow_ml.pytest_plugin import markers
from voiceflow_ml.sla.marked import loosened_marks, marked_tests

_KEYS = ("model", "stage", "p50", "p99", "p999", "clock", "mode", "interval", "p98", "targets", "prepare", "", "limit")
_GOOD = ("10ms", "fast-cnn", "model-inference", "adjusted", "paced", "100ms", ["cpu"], ("cuda-t4", "cpu"), print)
arguments = st.sampled_from(
    [*_GOOD, *EXTREMES, {"cpu"}, iter(["cpu"]), object(), b"10ms", 10, 0.01, [["cpu"]], NotImplemented]
)
keywords = st.dictionaries(st.sampled_from(_KEYS), arguments, max_size=4)


@given(st.lists(arguments, max_size=2), keywords)
@example(["m"], {"stage": ["model-inference"]})
@example([], {"p99": "1" * 20_000})
def test_the_sla_marker(positional: list[Any], named: dict[str, Any]) -> None:
    mark = pytest.mark.sla.with_args(*positional, **named).mark
    told = refusal(lambda: markers._parse_sla(mark, "test_a"), ConfigError)
    assert not told or is_one_sentence(told, 12_000), told


@given(st.lists(arguments, max_size=1), keywords)
@example([], {"targets": None})
@example([], {"targets": 5})
@example([], {"targets": iter(["cpu"])})
def test_the_hardware_marker(positional: list[Any], named: dict[str, Any]) -> None:
    mark = pytest.mark.hardware.with_args(*positional, **named).mark
    found: list[Any] = []
    told = refusal(lambda: found.extend(markers._declared_targets(mark, TARGETS)), ConfigError)
    assert not told or is_one_sentence(told, 6_000), told
    # What was named is measured: no target is lost on the way.
    assert told or "targets" not in named or len(found) == len(set(named["targets"]))


sources = st.lists(
    st.sampled_from(
        [
            "import pytest\n",
            "@pytest.mark.sla(p99='10ms')\n",
            "@pytest.mark.sla(p99={[]: 1})\n",
            "@pytest.mark.sla\n",
            "@pytest.mark.sla(p99=1 + 1j, **more)\n",
            "@pytest.mark.sla(p99=f'{1}ms')\n",
            "def test_a(): ...\n",
            "class TestB:\n    @pytest.mark.sla(p99='1ms')\n    def test_c(self): ...\n",
            "async def test_d(): ...\n",
            "pytestmark = [pytest.mark.sla(p99='9ms')]\n",
            "pytestmark = mark\n",
            "mark = pytest.mark.sla(p50='5')\n",
            "@pytest.mark.hardware(targets=None)\n",
            "@pytest.mark.hardware(targets=['cpu', 5])\n",
            "x = '\\d'\n",
            "@pytest.mark.sla(p99=" + "-" * 500 + "1)\n",
            "@pytest.mark.sla(p99=" + "(" * 90 + ")" * 90 + ")\n",
            "\0",
            "\ud800",
            "@pytest.mark.sla(p99='" + "9" * 20_000 + "ms')\n",
            "@pytest.mark.sla(p99=" + "9" * 5_000 + ")\n",
        ]
    ),
    max_size=6,
)


@given(sources, sources)
@example(
    ["@pytest.mark.sla(p99={[]: 1})\n", "def test_a(): ...\n"],
    ["@pytest.mark.sla(p99='10ms')\n", "def test_a(): ...\n"],
)
@example(["@pytest.mark.sla(p99=" + "-" * 500 + "1)\n", "def test_a(): ...\n"], [])
@example(["mark = pytest.mark.sla(p99='" + "\\ud800" + "')\n", "@mark\n", "def test_a(): ...\n"], [])
def test_sources_of_another_commit(before: list[str], now: list[str]) -> None:
    one, other = (marked_tests("".join(lines), "a.py") for lines in (before, now))
    assert all(line.isprintable() for line in loosened_marks(one, other))
