"""A comment's text: what of it may be shown, and when two of them say the same.

``clean`` is for the screen, ``normalise`` for comparing: its result is never shown.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from protocol.errors import CommandError

# What draws nothing, or turns the text around it: controls, soft hyphen, zero-width and bidi characters,
# Hangul and Braille blanks, tags, lone surrogates. A joiner inside an emoji stays: a family is one character.
_EMOJI = "\U0001f000-\U0001faff\u2600-\u27bf\ufe0f"
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e"
    "\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    f"|(?<![{_EMOJI}])\u200d|\u200d(?![{_EMOJI}])"
)
_STYLES = re.compile("[\ufe00-\ufe0f]")  # an emoji in colour or not
TEXTS_REMEMBERED = 8_192  # half of what is said was said before, and is then compared for free
_BLANKS = re.compile(r"\s+")
_LONG_RUN = re.compile(r"([^\d\s])\1{3,}")
_ONE_DIGIT = re.compile(r"(\d)\1{3,}")


def clean(text: str) -> str:
    """The text as it may be shown, on one line; ``CommandError`` if nothing of it is left."""
    shown = _BLANKS.sub(" ", _UNSEEN.sub("", text)).strip()
    if all(unicodedata.category(char)[0] == "M" for char in shown):
        raise CommandError("invalid_field", "nothing to show in this text", field="text")
    return shown


@lru_cache(maxsize=TEXTS_REMEMBERED)
def normalise(text: str) -> str:
    """Equal results: the same comment, said again. Case, width, spacing, how long "哈哈哈哈" goes on and what
    ends "好!!!" don't count; a number's digits do ("1000" isn't "10000"), unless it is one digit repeated."""
    folded = unicodedata.normalize("NFKC", _STYLES.sub("", _UNSEEN.sub("", text))).casefold()
    folded = _BLANKS.sub(" ", folded).strip()
    folded = _without_edge(_LONG_RUN.sub(r"\1\1\1", folded))
    return folded[:3] if _ONE_DIGIT.fullmatch(folded) else folded


def _without_edge(text: str) -> str:
    """Without the punctuation at its end, unless it is nothing else. A question stays one ("真的?" isn't
    "真的!"), and emoji say something too."""
    end = len(text)
    while end and _is_punctuation(text[end - 1]):
        end -= 1
    if not end:
        return text
    return text[:end] + "?" if "?" in text[end:] else text[:end]


def _is_punctuation(char: str) -> bool:
    return char in "~ " or unicodedata.category(char)[0] == "P"
