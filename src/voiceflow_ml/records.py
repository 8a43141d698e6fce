"""Records that come from files: each field holds what its annotation says, or the file is refused where it is read.

A dataclass takes whatever it is given; what is wrong would be found much later, by whoever uses it.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from voiceflow_ml.errors import quoted

_Record = TypeVar("_Record")


def checked(record: _Record) -> _Record:
    """The record itself, its fields and those of records inside it held to their annotations.

    A list stands for a tuple, and a whole number for a float; ``True`` is not a number.

    Raises:
        TypeError: a field holds something else; the message names the field, what it holds and what it should.
    """
    _check(record, type(record), "")
    return record


@lru_cache(maxsize=256)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _check(value: Any, hint: Any, place: str) -> None:
    origin = get_origin(hint)
    if is_dataclass(hint):
        _check_kind(value, hint, place)
        hints = _hints(hint) if isinstance(hint, type) else {}
        for field in fields(hint):
            _check(getattr(value, field.name), hints[field.name], f"{place}.{field.name}" if place else field.name)
    elif origin in (Union, types.UnionType):
        _check_any(value, get_args(hint), place)
    elif origin in (tuple, list, Sequence):
        _check_listed(value, get_args(hint), place)
    elif origin in (dict, Mapping):
        _check_mapping(value, get_args(hint), place)
    elif origin is Literal:
        if value not in get_args(hint):
            _refuse(value, f"one of {', '.join(map(str, get_args(hint)))}", place)
    elif hint is not Any:
        _check_kind(value, origin or hint, place)


def _check_kind(value: Any, kind: Any, place: str) -> None:
    kinds = (int, float) if kind is float else kind
    if not isinstance(value, kinds) or (isinstance(value, bool) and kind in (int, float)):
        _refuse(value, getattr(kind, "__name__", str(kind)), place)


def _check_any(value: Any, hints: tuple[Any, ...], place: str) -> None:
    for hint in hints:
        try:
            _check(value, hint, place)
        except TypeError as error:
            # A record inside says best itself what is wrong with it.
            if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, hint):
                raise TypeError(str(error)) from None
        else:
            return
    _refuse(value, " or ".join(getattr(hint, "__name__", str(hint)) for hint in hints), place)


def _check_listed(value: Any, hints: tuple[Any, ...], place: str) -> None:
    if not isinstance(value, tuple | list):
        _refuse(value, "a list", place)
    each = hints if len(hints) == len(value) and Ellipsis not in hints else hints[:1] * len(value)
    if set(map(type, value)) == set(each) and not any(map(is_dataclass, each)):
        # Thousands of numbers need no place each.
        return
    for index, (entry, hint) in enumerate(zip(value, each, strict=True)):
        _check(entry, hint, f"{place}.{index}")


def _check_mapping(value: Any, hints: tuple[Any, ...], place: str) -> None:
    if not isinstance(value, Mapping):
        _refuse(value, "an object", place)
    for key, entry in value.items():
        _check(key, hints[0], f"{place}.{quoted(key, 40)}")
        _check(entry, hints[1], f"{place}.{quoted(key, 40)}")


def _refuse(value: Any, wanted: str, place: str) -> None:
    raise TypeError(f"{quoted(place, 100)} is {quoted(repr(value), 60)}, not {wanted}")
