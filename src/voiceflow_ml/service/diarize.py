"""``POST /v1/diarize``: a recording in, who speaks when out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from voiceflow_ml.diarization.config import DiarizationConfig
from voiceflow_ml.diarization.offline import diarize_blocks
from voiceflow_ml.diarization.turns import Diarization
from voiceflow_ml.errors import ConfigError, VoiceflowError
from voiceflow_ml.rttm import Turn
from voiceflow_ml.service.audio_body import AudioLimits, audio_blocks
from voiceflow_ml.service.endpoint import QUICK_BYTES, Answer, Endpoint, Request
from voiceflow_ml.service.infer import route_key
from voiceflow_ml.service.parts import Parts
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.service.routing import Lease
from voiceflow_ml.service.timed import TimedSegmenter, segmenter_of
from voiceflow_ml.service.work import HungError

RTTM_TYPES = ("text/rttm", "text/plain")
_SPEAKERS = ("speakers", "min_speakers", "max_speakers")
# Between two runs of the net others get their turn, so a run is kept short.
_BATCH_WINDOWS = 8


@dataclass(frozen=True)
class Wish:
    """What a client wants to know of a recording.

    Attributes:
        content_type: of the body.
        speakers: bounds of their number, by setting.
        recording: its name in RTTM.
        rttm: whether RTTM is wanted; JSON otherwise.
    """

    content_type: str
    speakers: Mapping[str, int]
    recording: str
    rttm: bool


class DiarizeEndpoint(Endpoint):
    """Diarizes whole recordings."""

    def __init__(self, parts: Parts, route: str) -> None:
        super().__init__(parts, route)
        settings = parts.settings
        self._limits = AudioLimits(
            settings.max_audio_s, settings.max_channels, settings.min_sample_rate_hz, settings.max_sample_rate_hz
        )

    async def answer(self, request: Request) -> Answer:
        """Answer one; errors as in ``Endpoint``."""
        wish = read_wish(request)
        quick = len(request.body) <= QUICK_BYTES
        wait_ns = self.parts.wait_ns if quick else round(self.parts.settings.long_queue_timeout_s * 1e9)
        with self.parts.slot.route(route_key(request)) as lease:
            segmenter = TimedSegmenter(segmenter_of(lease.version), self.parts.pool.give_way)
            work = partial(self._diarize, request.body, wish, lease, segmenter)
            try:
                done = await self.parts.pool.submit(work, wait_ns=wait_ns, quick=quick)
            except HungError:
                self.parts.slot.report(lease, error=True, elapsed_ns=0)
                raise
            version = lease.version
        kind = b"text/rttm; charset=utf-8" if wish.rttm else b"application/json"
        headers = [(b"content-type", kind)]
        return Answer(done.value, version.model, version.version, done.queue_ns, segmenter.inference_ns, headers)

    def _diarize(self, body: bytes, wish: Wish, lease: Lease, segmenter: TimedSegmenter) -> bytes:
        version = lease.version
        try:
            config = _configured(version.config, wish.speakers)
            found = diarize_blocks(audio_blocks(body, wish.content_type, self._limits), config, segmenter)
        except VoiceflowError:
            # What is wrong with the recording says nothing about the version.
            if segmenter.failed:
                self.parts.slot.report(lease, error=True, elapsed_ns=0)
            raise
        self.parts.slot.report(lease, error=False, elapsed_ns=segmenter.window_ns)
        if wish.rttm:
            return found.to_rttm(wish.recording).encode()
        return json.dumps({"model": version.model, "version": version.version, **_as_json(found)}).encode()


def read_wish(request: Request) -> Wish:
    """What the headers and the query ask for.

    Raises:
        RequestError: a query that is not understood (400), or a form of answer that is not given (406).
    """
    query = parse_qs(request.query.decode("latin-1"), keep_blank_values=True, max_num_fields=20)
    unknown = sorted(set(query) - {*_SPEAKERS, "recording"})
    if unknown:
        raise RequestError(400, f"{unknown[0][:100]!r} is no parameter; take {', '.join(_SPEAKERS)} or recording")
    speakers = {name: _count(name, query[name][-1]) for name in _SPEAKERS if name in query}
    recording = query.get("recording", ["recording"])[-1][:200]
    content_type = request.headers.get(b"content-type", b"").decode("latin-1")
    return Wish(content_type, speakers, recording, _wants_rttm(request.headers.get(b"accept", b"").decode("latin-1")))


def turn_json(turn: Turn) -> dict[str, object]:
    """A turn as it is sent; times in seconds, to the millisecond."""
    return {"speaker": turn.speaker, "start_s": round(turn.start_s, 3), "end_s": round(turn.end_s, 3)}


def _wants_rttm(accept: str) -> bool:
    for entry in accept.lower().split(","):
        kind = entry.partition(";")[0].strip()
        if kind in RTTM_TYPES:
            return True
        if kind in ("application/json", "application/*", "*/*", ""):
            return False
    raise RequestError(406, f"the answer is application/json or text/rttm, not {accept[:100]!r}")


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 4):
        raise RequestError(400, f"{name} must be a whole number, got {text[:40]!r}")
    return int(text)


def _configured(config: DiarizationConfig, speakers: Mapping[str, Any]) -> DiarizationConfig:
    try:
        return replace(config, batch_windows=_BATCH_WINDOWS, **speakers)
    except ConfigError as error:
        raise RequestError(400, str(error)) from None


def _as_json(found: Diarization) -> dict[str, object]:
    return {
        "duration_s": round(found.seconds, 3),
        "speakers": list(found.speakers),
        "turns": [turn_json(turn) for turn in found.turns],
    }
