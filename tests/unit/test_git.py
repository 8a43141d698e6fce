from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.git_repository import commit, forget_the_outer_repository, git
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.git import file_at, files_with, git_commit, has_file, has_ref, in_repository


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_the_outer_repository(monkeypatch, tmp_path.parent)


def test_the_commit_of_a_checkout_and_whether_it_was_changed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert git_commit(tmp_path) == "unknown"
    (tmp_path / "file").write_text("one")
    head = commit(tmp_path)
    assert len(head) == 40
    assert git_commit(tmp_path) == head
    (tmp_path / "file").write_text("two")
    assert git_commit(tmp_path) == f"{head}+changes"


def test_a_folder_outside_of_any_checkout_has_no_commit(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == "unknown"
    assert git_commit(tmp_path / "absent") == "unknown"


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("one")
    commit(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing here"))
    assert git_commit(tmp_path) == "unknown"


@pytest.fixture(name="model")
def _model(tmp_path: Path) -> Path:
    """A file that was another one at each of two commits, and is a third in the working tree."""
    path = tmp_path / "models" / "a b.onnx"
    path.parent.mkdir()
    for content in (b"first \x00\xff\r\n", b"second"):
        path.write_bytes(content)
        commit(tmp_path)
    git(tmp_path, "tag", "v2")
    path.write_bytes(b"not committed")
    return path


def test_a_file_is_read_as_it_was_at_a_ref(model: Path) -> None:
    assert file_at(model, "HEAD~1") == b"first \x00\xff\r\n", "byte for byte"
    for ref in ("HEAD", "main", "v2", git(model.parent, "rev-parse", "--short", "HEAD")):
        assert file_at(model, ref) == b"second"


def test_a_relative_path_a_link_and_a_file_that_is_gone(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model.parent)
    assert file_at(Path(model.name), "HEAD") == b"second"
    link = model.parents[2] / f"{model.parents[1].name}-link"
    link.symlink_to(model.parents[1])
    assert file_at(link / "models" / model.name, "HEAD") == b"second"
    model.unlink()
    assert file_at(model, "HEAD") == b"second"


def refusal(path: Path, ref: str) -> str:
    with pytest.raises(ConfigError) as caught:
        file_at(path, ref)
    return str(caught.value)


@pytest.mark.parametrize("ref", ["v9", "HEAD~7", "--help", "-", "HEAD:models", "a b"])
def test_an_unknown_ref(model: Path, ref: str) -> None:
    assert refusal(model, ref) == (
        f"git:{ref}: unknown ref {ref!r}; in a shallow clone, fetch it first: git fetch origin {ref}"
    )


def test_a_ref_that_does_not_have_the_file(model: Path) -> None:
    other = model.with_name("new.onnx")
    other.write_bytes(b"not committed")
    assert refusal(other, "HEAD") == "git:HEAD: there is no models/new.onnx at HEAD; name a file instead"
    assert refusal(model.parent, "HEAD") == "git:HEAD: there is no models at HEAD; name a file instead"


def test_a_file_in_no_repository(tmp_path: Path) -> None:
    path = tmp_path / "alone.onnx"
    path.write_bytes(b"alone")
    assert refusal(path, "main") == f"git:main: {path} is in no git repository; name a file instead"


def test_a_machine_without_git(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing here"))
    assert re.fullmatch(r"git:HEAD: .*name a file instead", refusal(model, "HEAD"))


def test_a_pointer_of_git_lfs_is_not_the_model(model: Path, tmp_path: Path) -> None:
    model.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    commit(tmp_path)
    assert refusal(model, "HEAD") == (
        "git:HEAD: models/a b.onnx is kept by Git LFS; check it out elsewhere and name that file"
    )


def test_refs_and_the_files_that_they_have(tmp_path: Path) -> None:
    path = tmp_path / "inner folder" / "sla.toml"
    path.parent.mkdir()
    path.write_text("one")
    assert not in_repository(tmp_path)
    commit(tmp_path)
    assert in_repository(path.parent)
    path.unlink()
    (tmp_path / "sla.toml").write_text("two")
    assert has_file(path, "HEAD")
    assert not has_file(tmp_path / "sla.toml", "HEAD")
    assert not has_file(path, "absent")
    assert has_ref(tmp_path, "main")
    assert not has_ref(tmp_path, "absent")
    assert not has_ref(tmp_path, "--all")


def test_files_that_hold_a_text_now_and_at_a_ref(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a b.py").write_text("x.mark.sla(1)")
    (tmp_path / "other.txt").write_text("mark.sla")
    commit(tmp_path)
    (tmp_path / "inner" / "a b.py").write_text("nothing")
    (tmp_path / "new.py").write_text("markXsla mark.sla")
    (tmp_path / "like.py").write_text("markXsla")
    assert files_with(tmp_path, "mark.sla", "HEAD") == ("inner/a b.py",)
    assert files_with(tmp_path / "inner", "mark.sla", "HEAD") == ("a b.py",)
    assert files_with(tmp_path, "mark.sla") == ("new.py",)
    assert files_with(tmp_path.parent, "mark.sla") == ()
