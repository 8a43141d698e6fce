from __future__ import annotations

import resource
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from voiceflow_ml.hardware import scheduler
from voiceflow_ml.hardware.scheduler import SWITCH_NS, SchedulerCounters, parse_pressure
from voiceflow_ml.latency.counters import Counters

PRESSURE = "some avg10=1.53 avg60=0.87 avg300=0.73 total={us}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"


@pytest.fixture
def schedstat(tmp_path: Path) -> Path:
    file = tmp_path / "schedstat"
    file.write_text("507092542 63775 10\n")
    return file


@pytest.fixture
def pressure(tmp_path: Path) -> Path:
    file = tmp_path / "cpu"
    file.write_text(PRESSURE.format(us=100))
    return file


def test_the_run_delay_is_the_second_number_of_the_threads_file(schedstat: Path, pressure: Path) -> None:
    with SchedulerCounters(schedstat, pressure) as counters:
        assert counters.source == "schedstat"
        assert counters.run_delay_ns() == 63_775
        schedstat.write_text("507092543 63999 11\n")
        assert counters.run_delay_ns() == 63_999


def test_the_longest_numbers_are_read_whole(schedstat: Path, pressure: Path) -> None:
    longest = 2**64 - 1
    schedstat.write_text(f"{longest} {longest} {longest}\n")
    pressure.write_text(f"some avg10=100.00 avg60=100.00 avg300=100.00 total={longest}\nfull total=7\n")
    with SchedulerCounters(schedstat, pressure) as counters:
        assert counters.run_delay_ns() == longest
        assert counters.cpu_wait_ns() == longest * 1_000


def test_the_machines_wait_is_the_total_of_the_first_line_in_nanoseconds(schedstat: Path, pressure: Path) -> None:
    with SchedulerCounters(schedstat, pressure) as counters:
        assert counters.cpu_wait_ns() == 100_000
        pressure.write_text(PRESSURE.format(us=140))
        assert counters.cpu_wait_ns() == 140_000
        pressure.write_text("some")
        assert counters.cpu_wait_ns() is None


@pytest.mark.parametrize("content", ["", "\n", "some avg10=1.53\nfull total=7\n", "some total=many\n", "some total=\n"])
def test_pressure_without_sense_is_unknown(schedstat: Path, pressure: Path, content: str) -> None:
    assert parse_pressure(content.encode()) is None
    pressure.write_text(content)
    with SchedulerCounters(schedstat, pressure) as counters:
        assert counters.cpu_wait_ns() is None


def test_a_file_that_can_be_opened_but_not_read_is_unknown(tmp_path: Path) -> None:
    with SchedulerCounters(tmp_path, tmp_path) as counters:
        assert counters.cpu_wait_ns() is None
        assert counters.source != "schedstat"


@pytest.mark.parametrize(
    "content", ["", "\n", "0 0 0\n", "1 2\n", "1 2 3 4\n", "one 2 3\n", "1 -2 3\n", "1.5 2 3\n", "\0\xff"]
)
def test_a_threads_file_without_sense_leaves_the_switches(schedstat: Path, pressure: Path, content: str) -> None:
    schedstat.write_text(content)
    with SchedulerCounters(schedstat, pressure) as counters:
        assert counters.source != "schedstat"
        assert counters.run_delay_ns() % SWITCH_NS == 0


@pytest.mark.parametrize("content", ["0 0 1\n", "5 0 1\n"])
def test_a_thread_that_never_waited_has_a_threads_file_all_the_same(
    schedstat: Path, pressure: Path, content: str
) -> None:
    schedstat.write_text(content)
    with SchedulerCounters(schedstat, pressure) as counters:
        assert (counters.source, counters.run_delay_ns()) == ("schedstat", 0)


def test_nonsense_in_mid_run_adds_no_wait(schedstat: Path, pressure: Path) -> None:
    with SchedulerCounters(schedstat, pressure) as counters:
        before = counters.run_delay_ns()
        for content in ("", "1", "1 many 3\n"):
            schedstat.write_text(content)
            assert counters.run_delay_ns() == before
        schedstat.write_text("507092543 63999 11\n")
        assert counters.run_delay_ns() == 63_999


def test_every_involuntary_switch_is_an_unbounded_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(ru_nvcsw=2, ru_nivcsw=1_000_000_000)
    monkeypatch.setattr(resource, "getrusage", lambda _who: usage)
    with SchedulerCounters(tmp_path / "absent", tmp_path / "absent") as counters:
        assert counters.source == "involuntary switches"
        assert counters.run_delay_ns() == 0
        usage.ru_nivcsw += 2
        assert counters.run_delay_ns() == 2 * SWITCH_NS


def test_a_kernel_that_counts_no_switches_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrusage", lambda _who: SimpleNamespace(ru_nvcsw=0, ru_nivcsw=0))
    with SchedulerCounters(tmp_path / "absent", tmp_path / "absent") as counters:
        assert (counters.source, counters.run_delay_ns(), counters.cpu_wait_ns()) == ("none", 0, None)


def test_a_system_without_resource_usage_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    with SchedulerCounters(tmp_path / "absent", tmp_path / "absent") as counters:
        assert (counters.source, counters.run_delay_ns()) == ("none", 0)
        assert counters.thread_time_ns is time.thread_time_ns
        assert counters.process_time_ns is time.process_time_ns


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_leaving_closes_the_files_once(schedstat: Path, pressure: Path) -> None:
    before = open_files()
    with SchedulerCounters(schedstat, pressure) as counters:
        assert open_files() == before + 2
    counters.close()
    assert open_files() == before


def test_the_counters_are_those_of_the_thread_that_made_them() -> None:
    made: list[SchedulerCounters] = []
    thread = threading.Thread(target=lambda: made.append(SchedulerCounters()))
    thread.start()
    thread.join()
    with made[0] as counters:
        if counters.source != "schedstat":
            pytest.skip("this kernel does not count the run delay")
        # Python joins a thread a moment before the kernel is done with it.
        while Path(f"/proc/self/task/{thread.native_id}").exists():
            time.sleep(0.001)
        last_ns = counters.run_delay_ns()
        # Whatever this thread waits for now, the ended one does not.
        readings = {last_ns}
        for _ in range(50):
            time.sleep(0.0001)
            readings.add(counters.run_delay_ns())
    assert readings == {last_ns}


def busy_readings(counters: Counters, rounds: int = 50) -> list[tuple[int, int, int, int]]:
    """The four counters, again and again, with work between."""
    taken = []
    for _ in range(rounds):
        waited_ns = counters.cpu_wait_ns()
        taken.append((counters.run_delay_ns(), counters.thread_time_ns(), counters.process_time_ns(), waited_ns or 0))
        sum(range(20_000))
    return taken


@pytest.mark.parametrize("schedstat_file", [scheduler.SCHEDSTAT, Path("/proc/absent")])
def test_the_real_counters_never_go_backwards_and_work_takes_thread_time(schedstat_file: Path) -> None:
    with SchedulerCounters(schedstat_file) as counters:
        taken = busy_readings(counters)
    columns = list(zip(*taken, strict=True))
    assert all(list(column) == sorted(column) for column in columns)
    _, thread_time_ns, process_time_ns, _ = columns
    assert thread_time_ns[-1] > thread_time_ns[0]
    assert process_time_ns[-1] > process_time_ns[0]
