"""The web page in a real browser, against the real server: what it shows, and that nothing else ever runs in it."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.browser import NAMES, find_browser
from benchmarks.service.variants import write_variant
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.contract_models import contracted_model, save_contract
from tests.servers import Local, ask, bearer, local_server
from voiceflow_ml.client.updates import SoFar
from voiceflow_ml.contract import read_contract
from voiceflow_ml.live_turns import Correction, TurnJoiner
from voiceflow_ml.models.shipped import MODEL_NAME, shipped_speech_path
from voiceflow_ml.rttm import Turn
from voiceflow_ml.service.page import FILES, HEADERS

SCRIPT = "<img src=x onerror=document.documentElement.className='ran'>"
PATIENCE_MS = 20_000
DROP = """
([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  if (name) transfer.items.add(new File([bytes], name, { type: "audio/wav" }));
  for (const kind of ["dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}
"""
NOTE_DRAWINGS = """
() => {
  window.drawings = [];
  const lanes = document.getElementById("lanes");
  new MutationObserver(() => {
    if (!lanes.querySelector(".heard")) return;
    window.drawings.push([...lanes.children].flatMap((lane) => [...lane.querySelectorAll(".turn")].map((bar) =>
      [lane.querySelector(".who").firstChild.textContent, parseFloat(bar.style.left), parseFloat(bar.style.width)])));
  }).observe(lanes, { childList: true });
}
"""
"""Keeps each live drawing: of each bar who, and from where and how long in percent."""
CORRECT = """
async (cases) => {
  const { corrected, joined } = await import("/turns.js");
  return cases.map(([turns, stretches]) => stretches.reduce(corrected, joined(turns)));
}
"""
NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.blockedURI));
"""


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    found = find_browser()
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"no browser is installed: none of {', '.join(NAMES)} is on the path")
    assert found is not None, "a CI machine must have a browser: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=[
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={shipped_speech_path()}",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Local]:
    with local_server(stream_idle_s=60) as server:
        yield server


@pytest.fixture(name="open_page")
def _open_page(browser: Browser) -> Iterator[Any]:
    """Opens the page of a server; at the end nothing may have been blocked, or gone wrong unseen."""
    context = browser.new_context(permissions=["microphone"])
    opened: list[Page] = []
    troubles: list[str] = []

    def open_page(server: Local) -> Page:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(NOTE_VIOLATIONS)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request", lambda request: troubles.append(request.url) if not request.url.startswith(server.url) else None
        )
        page.goto(server.url)
        opened.append(page)
        return page

    yield open_page
    violations = [page.evaluate("window.violations") for page in opened]
    context.close()
    assert violations == [[] for _ in opened]
    assert [trouble for trouble in troubles if not trouble.startswith("data:")] == []


def drop(page: Page, name: str, content: bytes) -> None:
    page.evaluate(DROP, [name, base64.b64encode(content).decode()])


def lanes(page: Page) -> list[str]:
    return [str(track.get_attribute("aria-label")) for track in page.locator("#lanes [role=img]").all()]


def test_every_file_comes_with_its_type_and_the_policy(server: Local) -> None:
    for path in FILES:
        answer = ask(server.url, f"/{path}")
        assert answer.status == 200
        assert {name.lower(): value for name, value in HEADERS.items()}.items() <= answer.headers.items()
        kind = {"": "text/html", "page.css": "text/css"}.get(path, "text/javascript")
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert "microphone=(self)" in HEADERS["Permissions-Policy"]
    assert b"unsafe" not in HEADERS["Content-Security-Policy"].encode()
    # The policy would block these; better that there are none.
    html = ask(server.url, "/").body
    assert b"style=" not in html
    assert b"onclick" not in html
    assert ask(server.url, "/other.js").status == 404


def test_a_dropped_wav_becomes_a_timeline(server: Local, open_page: Any) -> None:
    page = open_page(server)
    expect(page.locator("#model")).to_have_text(MODEL_NAME)
    page.get_by_label("Speakers in a file").select_option("2")
    drop(page, "speech.wav", shipped_speech_path().read_bytes())
    expect(page.locator("#about")).to_contain_text("speech.wav: 15.5 s of sound in", timeout=PATIENCE_MS)
    expect(page.locator("#about")).to_contain_text(f"by version {server.parts.slot.status().version}")
    found = lanes(page)
    assert len(found) == 2
    assert all(" speaks " in label and " s to " in label for label in found)
    colours = {
        track.locator(".turn").first.evaluate("bar => getComputedStyle(bar).backgroundColor")
        for track in page.locator("#lanes .track").all()
    }
    assert len(colours) == 2
    page.locator("#words summary").click()
    assert page.locator("#turns tr").count() >= 4
    expect(page.locator("#error")).to_be_hidden()


def test_the_colours_differ_in_dark_mode_too(server: Local, open_page: Any) -> None:
    page = open_page(server)
    seen = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours = page.evaluate(
            "() => [...Array(8).keys()].map((place) => "
            "getComputedStyle(document.documentElement).getPropertyValue(`--s${place}`))"
        )
        assert len(set(colours)) == 8
        seen[scheme] = page.evaluate("() => getComputedStyle(document.body).backgroundColor"), *colours
    assert all(light != dark for light, dark in zip(*seen.values(), strict=True))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("notes.wav", b"this is no sound", "no recording"),
        ("", b"", "That was no file; drop a recording such as a WAV."),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    name: str, content: bytes, sentence: str, server: Local, open_page: Any
) -> None:
    page = open_page(server)
    drop(page, name, content)
    expect(page.get_by_role("alert")).to_be_visible()
    if name:
        expect(page.get_by_role("alert")).not_to_be_empty()
    else:
        expect(page.get_by_role("alert")).to_have_text(sentence)
    expect(page.locator("#stop")).to_be_hidden()


def test_a_file_as_a_live_stream_shows_turns_and_latency_beside_the_limit(
    server: Local, open_page: Any, tmp_path: Path
) -> None:
    page = open_page(server)
    page.get_by_label("play it as a live stream").check()
    page.locator("#file").set_input_files(shipped_speech_path())
    expect(page.locator("#about")).to_contain_text("speech.wav: live, by version builtin-", timeout=PATIENCE_MS)
    expect(page.locator("#limit")).to_have_text("100 ms")
    expect(page.locator("#lanes .turn").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#judged")).to_contain_text("over the limit", timeout=PATIENCE_MS)
    assert page.locator("#p50").inner_text().endswith(" ms")
    # Of fewer than a hundred answers nobody can tell a P99.
    assert page.locator("#tail-name").inner_text() == "slowest"
    page.locator("#stop").click()
    expect(page.locator("#about")).to_contain_text("speech.wav: ended", timeout=PATIENCE_MS)


def test_a_live_stream_is_drawn_anew_where_the_server_corrects_it(server: Local, open_page: Any) -> None:
    page = open_page(server)
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    page.evaluate(NOTE_DRAWINGS)
    page.get_by_label("play it as a live stream").check()
    page.locator("#file").set_input_files(shipped_speech_path())
    expect(page.locator("#about")).to_contain_text("2 s behind, names corrected for 300 s", timeout=PATIENCE_MS)
    expect(page.locator("#about")).to_contain_text("speech.wav: ended", timeout=2 * PATIENCE_MS)
    messages = [message for message in map(json.loads, frames) if message["type"] == "turns"]
    assert sum(len(message["corrected"]) for message in messages) > 0
    so_far, wanted = SoFar(), []
    for message in messages:
        so_far.take(json.dumps(message), server.url)
        if so_far.turns:
            wanted.append((max(10.0, message["heard_s"]), so_far.turns))
    drawings = page.evaluate("window.drawings")
    for drawing, (span_s, turns) in zip(drawings, wanted, strict=True):
        bars = sorted((left * span_s / 100, who, width * span_s / 100) for who, left, width in drawing)
        assert [who for _, who, _ in bars] == [turn.speaker for turn in turns]
        np.testing.assert_allclose(
            [(start_s, long_s) for start_s, _, long_s in bars],
            [(turn.start_s, turn.duration_s) for turn in turns],
            atol=0.005,
        )


def test_no_correction_is_promised_where_there_is_none(open_page: Any) -> None:
    with local_server(correct_s=0) as server:
        page = open_page(server)
        page.locator("#microphone").click()
        expect(page.locator("#about")).to_contain_text(re.compile("2 s behind$"), timeout=PATIENCE_MS)
        page.locator("#stop").click()
        expect(page.locator("#about")).to_contain_text("ended", timeout=PATIENCE_MS)


def a_stretch(draws: np.random.Generator, first: int, last: int) -> list[Turn]:
    """Turns of two speakers between two moments, in steps of 20 ms."""
    turns = []
    for speaker in ("a", "b"):
        edges = np.unique(draws.integers(first, last + 1, 2 * draws.integers(0, 3)))
        pairs = edges[: 2 * (edges.size // 2)].reshape(-1, 2).tolist()
        turns += [Turn(speaker, start * 0.02, (end - start) * 0.02) for start, end in pairs]
    return sorted(turns, key=lambda turn: turn.start_s)


def sent(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    return [{"speaker": t.speaker, "start_s": round(t.start_s, 3), "end_s": round(t.end_s, 3)} for t in turns]


def rows(turns: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((turn["speaker"], turn["start_s"], turn["end_s"]) for turn in turns)


def test_the_page_corrects_as_the_library_does(server: Local, open_page: Any) -> None:
    draws = np.random.default_rng(1)
    cases, wanted = [], []
    for _ in range(300):
        said, joiner, corrections = a_stretch(draws, 0, 40), TurnJoiner(), []
        for first in draws.integers(0, 40, 3).tolist():
            last = int(draws.integers(first + 1, 41))
            corrections.append(Correction(first * 0.02, last * 0.02, tuple(a_stretch(draws, first, last))))
        joiner.take(said, corrections)
        wanted.append(rows(sent(joiner.turns())))
        stretches = [
            {"start_s": round(now.start_s, 3), "end_s": round(now.end_s, 3), "turns": sent(now.turns)}
            for now in corrections
        ]
        cases.append([sent(said), stretches])
    assert [rows(turns) for turns in open_page(server).evaluate(CORRECT, cases)] == wanted


def test_the_microphone_is_heard(server: Local, open_page: Any) -> None:
    page = open_page(server)
    page.locator("#microphone").click()
    expect(page.locator("#about")).to_contain_text("Microphone: live, by version", timeout=PATIENCE_MS)
    expect(page.locator("#lanes .turn").first).to_be_visible(timeout=PATIENCE_MS)
    page.locator("#stop").click()
    expect(page.locator("#about")).to_contain_text("Microphone: ended", timeout=PATIENCE_MS)
    assert lanes(page)
    expect(page.locator("#microphone")).to_be_enabled()


def test_the_version_changes_on_a_reload_and_a_stream_keeps_its_own(
    server: Local, open_page: Any, tmp_path: Path
) -> None:
    before = server.parts.slot.status().version
    page = open_page(server)
    expect(page.locator("#version")).to_have_text(before)
    page.locator("#microphone").click()
    expect(page.locator("#about")).to_contain_text(f"live, by version {before}", timeout=PATIENCE_MS)
    folder = write_variant(tmp_path / "next", 1)
    body = f'{{"parameters": {{"source": "{folder}"}}}}'.encode()
    loaded = ask(server.url, f"/v2/repository/models/{MODEL_NAME}/load", body, bearer())
    assert loaded.status == 200, loaded.body
    after = loaded.document["after"]
    assert after != before
    expect(page.locator("#version")).to_have_text(after, timeout=PATIENCE_MS)
    expect(page.locator("#swaps li").first).to_contain_text(f"{after} serves")
    page.locator("#stop").click()
    expect(page.locator("#about")).to_contain_text(f"Microphone: ended, by version {before}", timeout=PATIENCE_MS)
    # A refusal is shown, too, with its reason.
    refused = ask(
        server.url, f"/v2/repository/models/{MODEL_NAME}/load", b'{"parameters": {"source": "./no"}}', bearer()
    )
    assert refused.status == 422
    expect(page.locator("#swaps .refused").first).to_contain_text("refused (not-found): no is not a folder")


def test_no_name_runs_a_script(open_page: Any, tmp_path: Path) -> None:
    folder = tmp_path / "named"
    path = contracted_model(folder)
    save_contract(path, replace(read_contract(folder), model=SCRIPT))
    path.rename(folder / f"{SCRIPT}.onnx")
    with local_server(model=str(folder)) as server:
        page = open_page(server)
        expect(page.locator("#model")).to_have_text(SCRIPT)
        # A name in a reason, and one of a file.
        target = f"/v2/repository/models/{SCRIPT.replace('<', '%3C').replace('>', '%3E').replace(' ', '%20')}/load"
        refused = ask(server.url, target, f'{{"parameters": {{"source": "./{SCRIPT}"}}}}'.encode(), bearer())
        assert refused.status == 422
        expect(page.locator("#swaps .refused").first).to_contain_text(SCRIPT)
        drop(page, f"{SCRIPT}.wav", b"no sound")
        expect(page.get_by_role("alert")).to_be_visible()
        assert page.locator("main img").count() == 0
        assert page.evaluate("document.documentElement.className") == ""


def test_the_policy_stops_what_was_put_into_the_page(browser: Browser, server: Local) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(NOTE_VIOLATIONS)
    page.goto(server.url)
    # As if something had written it there: an inline script, a handler, a frame, and a script from elsewhere.
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "document.documentElement.className = 'ran'";
          document.body.append(script);
          const box = document.createElement("div");
          box.innerHTML = "<img src=x onerror=\\"document.documentElement.className = 'ran'\\">";
          document.body.append(box);
          const frame = document.createElement("iframe");
          frame.src = "https://evil.example/";
          document.body.append(frame);
          const maker = document.createElement("script");
          maker.src = "https://evil.example/x.js";
          document.body.append(maker);
        }"""
    )
    page.wait_for_function("window.violations.length >= 4", timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.className") == ""
    context.close()


def test_a_server_that_is_gone_is_said_so(open_page: Any) -> None:
    with local_server() as server:
        page = open_page(server)
        expect(page.locator("#state")).to_have_class("dot up")
    expect(page.locator("#model")).to_have_text("The server does not answer.", timeout=PATIENCE_MS)
    drop(page, "speech.wav", np.zeros(100, np.int16).tobytes())
    expect(page.get_by_role("alert")).to_be_visible()


def test_nothing_is_wider_than_the_window(server: Local, open_page: Any) -> None:
    page = open_page(server)
    drop(page, "speech.wav", shipped_speech_path().read_bytes())
    expect(page.locator("#about")).to_contain_text("s of sound in", timeout=PATIENCE_MS)
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
