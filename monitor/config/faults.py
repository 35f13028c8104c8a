"""One thing that is wrong with a config, and the words to say it in."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]

_NAME_LIKE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True)
class Fault:
    """One fault at one place of a config file.

    Attributes
    ----------
    line
        Line in the file, from 1.
    sentence
        What is wrong and what would be right; it never holds a value that could be a secret.
    path
        Keys and list positions that lead to the place; empty for the file as a whole.
    column
        Column in the line, from 1, where the fault is one of syntax.
    """

    line: int
    sentence: str
    path: KeyPath = ()
    column: int | None = None

    def render(self, file: str) -> str:
        """Say it as one line, ``file:line[:column]: sentence``, which editors and terminals can follow."""
        place = f"{file}:{self.line}" if self.column is None else f"{file}:{self.line}:{self.column}"
        return f"{place}: {self.sentence}"


def dotted(path: KeyPath) -> str:
    """Write a path as a reader would: ``('monitors', 0, 'window')`` becomes ``monitors[0].window``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{shown_key(part)}" if text else shown_key(part)
    return text or "the config"


def shown_key(key: str) -> str:
    """Give the key itself if it looks like a name.

    Anything else may be a value that landed in the wrong place, such as a password after a missing colon.
    """
    return key if _NAME_LIKE.fullmatch(key) else "(a key that is no name)"


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Find the candidate that ``word`` was probably meant to be, or None when none is close."""
    matches = difflib.get_close_matches(word, sorted(candidates), n=1, cutoff=0.6)
    return matches[0] if matches else None


def quoted_choice(words: Iterable[str]) -> str:
    """Join words as ``'a', 'b' or 'c'``."""
    *head, last = [f"'{word}'" for word in words]
    return f"{', '.join(head)} or {last}" if head else last
