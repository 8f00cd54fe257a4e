"""Words that aren't allowed in a room: all of them looked for in one pass over the text."""

from __future__ import annotations

from collections.abc import Iterable

from ahocorasick_rs import AhoCorasick, MatchKind

from .text import normalise


class WordFilter:
    """Words are found inside longer ones, and however they are written as far as ``normalise`` sees through
    it. A word that normalises to nothing is left out."""

    def __init__(self, words: Iterable[str]) -> None:
        by_pattern = {normalise(word): word for word in words}
        by_pattern.pop("", None)
        self._words = list(by_pattern.values())
        self._automaton = (
            AhoCorasick(list(by_pattern), matchkind=MatchKind.LeftmostLongest) if by_pattern else None
        )

    def __len__(self) -> int:
        return len(self._words)

    def blocked(self, text: str) -> str | None:
        """The first word found, as it was given; None: the text may pass."""
        if self._automaton is None:
            return None
        found = self._automaton.find_matches_as_indexes(normalise(text))
        return self._words[found[0][0]] if found else None
