"""Lines of a console, read as a shell reads them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PROMPT = "$ "
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPERATORS = {"&&", "||", "|", ";", "&"}
_REDIRECTIONS = {">", ">>", "<", "2>"}


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        variables: of the environment, set for it, or for what follows by ``export``, which leaves no words.
        words: program and arguments, without redirections.
    """

    variables: Mapping[str, str]
    words: tuple[str, ...]


def read_console(text: str) -> tuple[list[Command], list[str]]:
    """The commands of a block, and the lines that they print.

    In a block with prompts a line without one is output; in a block without any, every line is a command.
    """
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = [line for line in joined.splitlines() if line.strip()]
    if not any(line.startswith(PROMPT) for line in lines):
        return [command for line in lines for command in _commands(line)], []
    typed = [line.removeprefix(PROMPT) for line in lines if line.startswith(PROMPT)]
    printed = [line for line in lines if not line.startswith(PROMPT)]
    return [command for line in typed for command in _commands(line)], printed


def _commands(line: str) -> Iterator[Command]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    skip = False
    for word in lexer:
        if word in _OPERATORS:
            yield from _command(words)
            words = []
        elif word in _REDIRECTIONS:
            skip = True
        elif skip:
            skip = False
        else:
            words.append(word)
    yield from _command(words)


def _command(words: list[str]) -> Iterator[Command]:
    count = next((index for index, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words))
    variables, rest = words[:count], words[count:]
    if rest[:1] == ["export"]:
        variables, rest = rest[1:], []
    if variables or rest:
        yield Command({word.partition("=")[0]: word.partition("=")[2] for word in variables}, tuple(rest))
