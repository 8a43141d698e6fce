"""How a promise is to be measured, read from words: the same keys in sla.toml and in the ``sla`` marker."""

from __future__ import annotations

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.latency.plan import Mode
from voiceflow_ml.latency.verdict import ClockChannel
from voiceflow_ml.units import parse_duration_ns


def find_clock(name: str) -> ClockChannel:
    """Look up a clock by name.

    Raises:
        ConfigError: neither of the two; the message lists them.
    """
    try:
        return ClockChannel(name)
    except ValueError:
        raise ConfigError(f"unknown clock {name!r}; the clocks are: {', '.join(ClockChannel)}") from None


def find_mode(name: str, clock: ClockChannel) -> Mode:
    """Look up a mode of sampling by name.

    Args:
        name: the mode.
        clock: what is judged; a mode that leaves it without a meaning is refused.

    Raises:
        ConfigError: not one of the four, which the message lists, or one that the clock does not go with.
    """
    try:
        mode = Mode(name)
    except ValueError:
        raise ConfigError(f"unknown mode {name!r}; the modes are: {', '.join(Mode)}") from None
    if mode is Mode.OPEN_LOOP and clock is ClockChannel.ADJUSTED:
        raise ConfigError(
            f'"{mode}" does not go with clock = "{clock}": its latency counts from the intended send time, and '
            f'waiting behind an earlier request is not the scheduler\'s doing; write clock = "{ClockChannel.WALL}"'
        )
    return mode


def read_interval_ns(text: object, mode: Mode) -> int:
    """Read the interval of a mode that has one.

    Args:
        text: a duration such as ``"100ms"``; None when none is given.
        mode: how requests are timed.

    Returns:
        Nanoseconds from one request to the next: always for ``paced``, on average for ``open-loop``; 0 for
        the modes that have none.

    Raises:
        ConfigError: not a duration, none where the mode needs one, or one where it has none.
    """
    if mode.has_schedule:
        if text is None:
            raise ConfigError(f'is missing: mode = "{mode}" sends requests on a schedule; add interval = "100ms" or so')
        return parse_duration_ns(text)
    if text is not None:
        scheduled = " or ".join(f'mode = "{other}"' for other in Mode if other.has_schedule)
        raise ConfigError(f'{text!r} means nothing to mode = "{mode}": take it out, or write {scheduled}')
    return 0
