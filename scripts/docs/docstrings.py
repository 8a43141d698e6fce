"""An extension of griffe: docstrings name other objects in Sphinx' roles, which editors read; the site shows links."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:func|class|mod|meth|attr|data):`~?([\w.]+)`")


class Roles(griffe.Extension):
    """Turns ``:func:`judge``` into a link where the site has that object, and into its name where not."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None and (":`" in obj.docstring.value or "::\n" in obj.docstring.value):
            obj.docstring.value = linked(obj, obj.docstring.value)


def linked(scope: griffe.Object, text: str) -> str:
    """A docstring as Markdown: roles are links, and a paragraph before code ends in one colon."""
    return _ROLE.sub(lambda role: _link(scope, role[1]), text).replace("::\n", ":\n")


def _link(scope: griffe.Object, name: str) -> str:
    path = name
    if not name.startswith("voiceflow_ml."):
        try:
            path = scope.resolve(name.partition(".")[0]) + name[len(name.partition(".")[0]) :]
        except griffe.NameResolutionError:
            path = f"{scope.canonical_path}.{name}"
    return f'<autoref identifier="{path}" optional><code>{name.rpartition(".")[2]}</code></autoref>'
