"""Waivers: promises that may go unkept until a day, with somebody who answers for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.sla.objectives import STATISTICS, Promise, Waiver
from voiceflow_ml.sla.places import Places

if TYPE_CHECKING:
    from voiceflow_ml.sla.schema import WaiverTable


def is_expired(expires: date, today: date) -> bool:
    """Whether a waiver counts no more; on its last day it does."""
    return today > expires


def waiver_words(owner: str, reason: str, expires: date, today: date) -> str:
    """Who waived what until when, or since when it counts no more.

    Args:
        owner: who answers for it.
        reason: why.
        expires: its last day.
        today: the day to judge it by.
    """
    if is_expired(expires, today):
        return f"the waiver by {owner} expired on {expires} ({reason}): keep the promise, or renew the waiver"
    return f"waived by {owner} until {expires}: {reason}"


def attach_waivers(entries: Sequence[WaiverTable], promises: Sequence[Promise], places: Places) -> tuple[Promise, ...]:
    """The promises, each with the waivers that are about it.

    Args:
        entries: the ``[[waiver]]`` tables, in the order of the file.
        promises: what the file promises.
        places: lines of the file.

    Raises:
        ConfigError: a waiver is about nothing that is promised, or about something that is waived already.
    """
    attached = {promise.label: promise for promise in promises}
    for index, entry in enumerate(entries):
        where = places.at(["waiver", index])
        label = f"{entry.model} · {entry.stage} · {entry.target}"
        promise = attached.get(label)
        if promise is None:
            promised = "; ".join(attached) or "nothing"
            raise ConfigError(f"{where}: waiver[{index + 1}]: nothing is promised for {label}; promised: {promised}")
        attached[label] = _waived(promise, entry, f"{where}: waiver[{index + 1}]", where)
    return tuple(attached.values())


def _waived(promise: Promise, entry: WaiverTable, called: str, where: str) -> Promise:
    """The promise with one more waiver; ``called`` is how messages call it."""
    promised = tuple(objective.statistic for objective in promise.objectives)
    names = promised if entry.statistic is None else (statistic_name(STATISTICS[entry.statistic]),)
    for name in names:
        earlier = promise.waiver_of(name)
        if name not in promised:
            raise ConfigError(f"{called}: no {name} is promised for {promise.label}; promised: {', '.join(promised)}")
        if earlier is not None:
            raise ConfigError(f"{called}: {name} of {promise.label} is already waived at {earlier.where}; keep one")
    waiver = Waiver(names, entry.owner, entry.reason, entry.expires, where)
    return replace(promise, waivers=(*promise.waivers, waiver))
