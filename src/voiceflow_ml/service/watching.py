"""Follow a channel of the registry: what is promoted there is loaded here, if it is fit to serve.

Opt-in, and only for a channel: a promotion is whole and has a name, while a folder may be half written.
"""

from __future__ import annotations

import threading

from voiceflow_ml.errors import VoiceflowError
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.service.slot import ModelSlot
from voiceflow_ml.service.swaps import LoadUnderWay, SwapRecord


class ChannelWatch:
    """Loads each promotion of a channel once.

    A promotion that was refused is not tried again, and one that a rule or a person took back here is not put back: the
    next promotion is the next chance.

    Args:
        slot: what serves.
        registry: of the slot's model.
        channel: its name.
    """

    def __init__(self, slot: ModelSlot, registry: Registry, channel: str) -> None:
        self._slot, self._channel, self._name = slot, registry.channel(channel), channel
        self._seen = 0

    def start_at_current(self) -> None:
        """Take the current promotion as loaded, as it is right after a start from this channel.

        Raises:
            RegistryError: the registry does not answer.
        """
        current = self._channel.current()
        self._seen = current.number if current is not None else 0

    def check(self) -> SwapRecord | None:
        """Load the channel's version if it is a new promotion.

        Returns:
            What became of it; None when there is nothing new.

        Raises:
            LoadRefused: the version is unfit.
            RegistryError: the registry does not answer; the next check asks again.
        """
        current = self._channel.current()
        if current is None or current.number <= self._seen:
            return None
        seen, self._seen = self._seen, current.number
        try:
            return self._slot.load(self._name)
        except LoadUnderWay:
            self._seen = seen
            return None

    def run(self, stop: threading.Event, every_s: float) -> None:
        """Check again and again until told to stop; call it in a thread.

        Whatever a check fails with, the next one comes: a refusal is in the slot's history, and a registry that does
        not answer now may do so later.
        """
        while not stop.wait(every_s):
            try:
                self.check()
            except VoiceflowError:
                continue
