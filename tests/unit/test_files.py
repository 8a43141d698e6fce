from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from voiceflow_ml.files import atomic_path, remove_leftovers, write_text_atomic


def test_a_file_is_replaced_whole_and_its_folder_is_made(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    write_text_atomic(target, "one")
    write_text_atomic(target, "two\n")
    assert target.read_text(encoding="utf-8") == "two\n"
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]


def test_a_block_that_raises_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write_half() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        write_half()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_new_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("x")
    write_text_atomic(tmp_path / "atomic.txt", "x")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_what_a_killed_process_left_goes_when_it_is_old_and_nothing_else_does(tmp_path: Path) -> None:
    old, new, other = (tmp_path / "a" / name for name in (".r.json.x1.part", ".r.json.x2.part", "r.part"))
    write_text_atomic(tmp_path / "a" / "r.json", "{}")
    for path in (old, new, other):
        path.write_text("half", encoding="utf-8")
    for path in (old, other, tmp_path / "a" / "r.json"):
        os.utime(path, (1, 1))
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [".r.json.x2.part", "r.json", "r.part"]
    remove_leftovers(tmp_path / "not there")
