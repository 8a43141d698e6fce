"""docs/troubleshooting.md quotes messages as they are: each is found in the source, and many are provoked."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.onnx_models import tiny_model
from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.commands.found_models import find_models
from voiceflow_ml.contract.document import from_json
from voiceflow_ml.errors import VoiceflowError
from voiceflow_ml.gcp.failures import failure
from voiceflow_ml.hardware.evidence import Finding, contiguous_finding, hash_finding, span_finding, timer_finding
from voiceflow_ml.hardware.fake_nvml import FakeNvml
from voiceflow_ml.hardware.git import file_at
from voiceflow_ml.hardware.gpu_choice import first_cuda_device
from voiceflow_ml.hardware.gpu_evidence import identity_findings
from voiceflow_ml.hardware.probe import probe_gpus
from voiceflow_ml.hardware.targets import find_target
from voiceflow_ml.inference.declared import declared_inputs, open_declared
from voiceflow_ml.inference.ort import open_onnx
from voiceflow_ml.inference.placement import placement_finding
from voiceflow_ml.latency import judge
from voiceflow_ml.registry.versions import parse_version
from voiceflow_ml.remote.cluster import check_address
from voiceflow_ml.results.sources import read_source
from voiceflow_ml.service.access import check_token
from voiceflow_ml.sla.load import parse_sla

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^- `([^`\n]+)`<br>$", PAGE, re.MULTILINE)
FEWEST_MESSAGES = 40
# A placeholder, with the quotes that Python puts around text.
_PLACEHOLDER = re.compile(r"'?<[a-z]+>'?")
# Where a fact ends and its remedy begins: they are separate texts in the source.
_SEAM = re.compile(r"; |: ")
# A shorter piece of a sentence stands anywhere.
_FEWEST_LETTERS = 4
_FEWEST_IN_ALL = 10

MODEL = 'version = 1\n[models.m]\nfile = "m.onnx"\n'
OBJECTIVE = '[[objective]]\nmodel = "m"\ntarget = "cpu"\n'


@cache
def literals() -> dict[str, str]:
    """Module -> all the text that it can print, the values in it taken out."""
    return {str(path.relative_to(ROOT)): _texts(path) for path in sorted((ROOT / "src").rglob("*.py"))}


def _texts(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            texts.append("\0".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            texts.append(node.value)
    return "\0".join(texts)


def parts(message: str) -> list[str]:
    """The words of a message that the source must have: what lies between placeholders and between clauses."""
    found = [part.strip(" ;:()") for text in _PLACEHOLDER.split(message) for part in _SEAM.split(text)]
    return [part for part in found if len(part) >= _FEWEST_LETTERS]


def is_said(message: str) -> bool:
    """Whether one module of the source has all the words of a message."""
    return any(all(part in text for part in parts(message)) for text in literals().values())


def is_quoted(said: str) -> bool:
    """Whether the page quotes a message that was printed."""
    return any(
        re.search(".+?".join(map(re.escape, _PLACEHOLDER.split(message))), said, re.DOTALL) for message in MESSAGES
    )


def test_there_are_many_messages_and_each_says_what_to_do() -> None:
    assert len(MESSAGES) >= FEWEST_MESSAGES
    assert len(set(MESSAGES)) == len(MESSAGES)
    entries = re.findall(r"^- `[^`\n]+`<br>\n  (?P<advice>.+)$", PAGE, re.MULTILINE)
    assert len(entries) == len(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_quoted_message_is_what_the_source_says(message: str) -> None:
    assert sum(map(len, parts(message))) >= _FEWEST_IN_ALL, "too little of this message can be looked for"
    assert is_said(message)


@pytest.mark.parametrize(
    "message", ["unknown target '<name>'; these are known: <names>", "model file <path> is away; give the path"]
)
def test_a_message_that_was_renamed_is_not_found(message: str) -> None:
    assert not is_said(message)


def sla(text: str) -> object:
    return parse_sla(text, Path("sla.toml"))


def missing_module() -> None:
    with needs_extra("claims"):
        raise ModuleNotFoundError(name="markdown_it")


def lfs_pointer(folder: Path) -> str:
    (folder / "model.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (skipped,) = find_models(folder)[1]
    return skipped


def open_axes(folder: Path) -> None:
    spec = parse_sla(MODEL.replace("m.onnx", "tiny.onnx"), folder / "sla.toml").models["m"]
    tiny_model(folder / "tiny.onnx")
    declared_inputs(spec, open_declared(spec, find_target("cpu")))


def damaged(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"this is no model")
    open_onnx(folder / "model.onnx")


def other_gpu() -> str:
    with FakeNvml.h200().installed():
        found = identity_findings(first_cuda_device(probe_gpus(), {}), find_target("cuda-t4"))
    return "; ".join(finding.sentence for finding in found)


def no_gpu() -> str:
    with FakeNvml.missing_driver().installed():
        (finding,) = identity_findings(first_cuda_device(probe_gpus(), {}), find_target("cuda-t4"))
    return finding.sentence


def sentence(finding: Finding | None) -> str:
    assert finding is not None
    return finding.sentence


def open_verdict(over: int, samples: int) -> str:
    return judge([20] * over + [5] * (samples - over), limit_ns=10, quantile=0.99, confidence=0.99).sentence


PROVOKED: dict[str, Callable[[Path], object]] = {
    "target": lambda _: find_target("t5"),
    "no unit": lambda _: sla(MODEL + OBJECTIVE + 'p99 = "10"'),
    "unknown key": lambda _: sla(MODEL + OBJECTIVE + 'p98 = "10ms"'),
    "stage": lambda _: sla(MODEL + OBJECTIVE + 'stage = "wire"\np99 = "10ms"'),
    "model": lambda _: sla('version = 1\n[[objective]]\nmodel = "x"\ntarget = "cpu"\np99 = "1ms"'),
    "no limit": lambda _: sla(MODEL + OBJECTIVE),
    "twice": lambda _: sla(MODEL + 2 * (OBJECTIVE + 'p99 = "10ms"\n')),
    "interval": lambda _: sla(MODEL + OBJECTIVE + 'mode = "paced"\np99 = "10ms"'),
    "date": lambda _: sla(
        MODEL + '[[waiver]]\nmodel = "m"\ntarget = "cpu"\nowner = "a"\nreason = "b"\nexpires = "2026-12-31"'
    ),
    "waiver": lambda _: sla(
        MODEL + '[[waiver]]\nmodel = "m"\ntarget = "cpu"\nowner = "a"\nreason = "b"\nexpires = 2026-12-31'
    ),
    "not TOML": lambda _: sla("version = "),
    "extra": lambda _: missing_module(),
    "no file": lambda folder: open_onnx(folder / "gone.onnx"),
    "no model": damaged,
    "no CUDA": lambda folder: open_onnx(tiny_model(folder / "tiny.onnx"), find_target("cuda-t4")),
    "LFS": lfs_pointer,
    "open axes": open_axes,
    "ref": lambda _: file_at(ROOT / "README.md", "no-such-branch"),
    "version": lambda _: parse_version("v1.2"),
    "contract": lambda _: from_json('{"schema_version": 99}', "contract.json"),
    "no session": read_source,
    "token": lambda _: check_token("Bearer x", "secret"),
    "no token": lambda _: check_token("Bearer x", ""),
    "nobody there": lambda _: check_address("127.0.0.1:9"),
    "sold out": lambda _: failure(["ZONE_RESOURCE_POOL_EXHAUSTED"], "no resources", "zone us-central1-a"),
    "coarse clock": lambda _: sentence(timer_finding(100, 500)),
    "other file": lambda _: sentence(hash_finding("a" * 64, "b" * 64)),
    "short span": lambda _: sentence(span_finding(2_000_000_000)),
    "contiguous": lambda _: contiguous_finding().sentence,
    "elsewhere": lambda _: (
        placement_finding([("CPUExecutionProvider", "/encoder/conv", "Conv")], find_target("cuda-t4")).sentence
    ),
    "other GPU": lambda _: other_gpu(),
    "no GPU": lambda _: no_gpu(),
    "more samples": lambda _: open_verdict(16, 2_000),
    "too few": lambda _: open_verdict(1, 200),
}


@pytest.mark.parametrize("name", PROVOKED)
def test_a_message_that_is_provoked_is_quoted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A driver that is there chooses its own first GPU.
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    try:
        said = PROVOKED[name](tmp_path)
    except VoiceflowError as error:
        said = error
    except Exception as error:  # what the service refuses a request with is none of the package's tree
        said = error
    assert is_quoted(str(said)), said
