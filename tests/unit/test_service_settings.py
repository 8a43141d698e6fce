"""Settings of the server: merged from flags, environment and file, and each with its source."""

from __future__ import annotations

from pathlib import Path

import pytest

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.service.settings import ReadSettings, ServeSettings, read_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ServeSettings.model_fields:
        monkeypatch.delenv(f"VOICEFLOW_{name.upper()}", raising=False)


def written(folder: Path, text: str) -> Path:
    file = folder / "serve.toml"
    file.write_text(text)
    return file


def test_without_anything_the_defaults_count_and_nobody_is_an_administrator() -> None:
    read = read_settings({})
    assert (read.settings.host, read.settings.port) == ("127.0.0.1", 8_000)
    assert read.settings.admin_token.get_secret_value() == ""
    assert set(read.sources.values()) == {"default"}
    assert set(read.sources) == set(ServeSettings.model_fields)


def test_flags_count_before_the_environment_and_the_environment_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "port = 1\nqueue_length = 2\nmax_streams = 3\n")
    monkeypatch.setenv("VOICEFLOW_PORT", "4")
    monkeypatch.setenv("VOICEFLOW_QUEUE_LENGTH", "5")
    read = read_settings({"port": 6}, file)
    assert (read.settings.port, read.settings.queue_length, read.settings.max_streams) == (6, 5, 3)
    assert read.sources["port"] == "flag"
    assert read.sources["queue_length"] == "environment VOICEFLOW_QUEUE_LENGTH"
    assert read.sources["max_streams"] == f"file {file}"
    assert read.sources["host"] == "default"


def test_every_setting_is_printed_with_its_source_and_secrets_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEFLOW_ADMIN_TOKEN", "hunter2-hunter2-hunter2")
    lines = read_settings({"port": 9}).lines()
    assert len(lines) == len(ServeSettings.model_fields)
    assert any(line.startswith("port ") and line.endswith("= 9  (flag)") for line in lines)
    assert any("= ********  (environment VOICEFLOW_ADMIN_TOKEN)" in line for line in lines)
    assert "hunter2" not in "".join(lines)
    assert "hunter2" not in repr(read_settings({}).settings)
    shown = read_settings({"registry": "s3://me:hunter2@host/models"}).shown("registry")
    assert shown == "'s3://********@host/models'"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"prot": "1"}, r"'prot' \(flag\) is no setting; they are host, port, model"),
        ({"port": "70000"}, r"port \(flag\): .*less than or equal to 65535, got '70000'"),
        ({"queue_length": "many"}, r"queue_length \(flag\): .*got 'many'"),
        ({"queue_timeout_s": "nan"}, r"queue_timeout_s \(flag\)"),
        ({"log_level": "loud"}, "log_level"),
        ({"min_sample_rate_hz": 9_000, "max_sample_rate_hz": 8_500}, "nothing could be sent"),
    ],
)
def test_what_is_wrong_is_named_with_its_source(flags: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_settings(flags)


def test_a_file_that_is_missing_broken_or_misspelt_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such configuration file"):
        read_settings({}, tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is not TOML that can be read"):
        read_settings({}, written(tmp_path, "port = = 1"))
    with pytest.raises(ConfigError, match=r"'prot' \(file .*serve.toml\) is no setting"):
        read_settings({}, written(tmp_path, "prot = 1"))


def test_a_wrong_token_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="admin_token") as error:
        read_settings({}, written(tmp_path, "admin_token = 12345"))
    assert "12345" not in str(error.value)


@pytest.mark.parametrize(
    "token", ["hunter2", "x" * 15, "x" * 513, "x" * 16 + "\n", "two words, and many more", "\u00e9" * 20]
)
def test_a_token_that_could_be_guessed_or_sent_wrongly_is_refused_without_being_repeated(token: str) -> None:
    with pytest.raises(ConfigError, match=r"admin_token .*at least 16 visible ASCII characters.*secrets") as error:
        read_settings({"admin_token": token})
    assert token not in str(error.value)
    assert read_settings({"admin_token": "x" * 16}).settings.admin_token.get_secret_value() == "x" * 16


def test_origins_and_hosts_are_lists_and_a_wrong_entry_is_named() -> None:
    settings = read_settings(
        {"allowed_origins": "https://A.example:8443, http://b.example", "allowed_hosts": "a.example,[::1]"}
    ).settings
    assert settings.origins == {"https://a.example:8443", "http://b.example"}
    assert settings.hosts == {"a.example", "[::1]"}
    assert read_settings({"allowed_hosts": "*"}).settings.hosts == frozenset()
    for name, text in (("allowed_origins", "a.example"), ("allowed_origins", "https://a/b"), ("allowed_hosts", "a/b")):
        with pytest.raises(ConfigError, match=f"{name} .*{text!r} is no"):
            read_settings({name: text})


def test_there_are_never_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})
    assert [with_threads(threads).settings.thread_count for threads in (0, 1, 2, 3, 100)] == [3, 1, 2, 3, 3]


def with_threads(threads: int) -> ReadSettings:
    return read_settings({"threads": threads})
