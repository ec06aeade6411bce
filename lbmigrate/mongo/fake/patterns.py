"""Regular expressions that mean the same to Python and to a server (PCRE): those of a plain grammar, and no others."""

from __future__ import annotations

import re
from collections.abc import Callable

from lbmigrate.mongo.fake.unfaithful import Unfaithful

# Literals, classes, groups and repetitions; what one of the two has alone, or reads in its own way, is not here.
_PIECE = re.compile(
    r"""
    [^\\\[\](){}*+?|^$.]                          # a character
  | [.^$|)]
  | \((?:\?[:=!]|(?!\?))
  | \\[][(){}*+?|^$./\\"'`,;:=!@\#%&<>~_\- nrtf]  # a character that is escaped
  | \\[dDsSwWbB]
  | \[\^?\]?(?:[^\\\[\]]|\\[][(){}*+?|^$./\\\-nrtfdDsSwW])*\]
  | (?:[*+?]|\{\d+(?:,\d*)?\})\??                 # how often
    """,
    re.VERBOSE,
)
_OF_WORDS = re.compile(r"\\[wWbB]")
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
_ALIKE = str.maketrans({"\u017f": "s", "\u212a": "k"})  # which are letters s and k to a server that ignores case


def searching(pattern: str, options: str) -> Callable[[str], bool]:
    """Whether a text holds what a pattern describes. Raises Unfaithful where Python and a server may disagree."""
    said = f"$regex {pattern[:40]!r}" + (f" with $options {options[:10]!r}" if options else "")
    end = 0
    while found := _PIECE.match(pattern, end):
        end = found.end()
    ignoring = "i" in options
    if end < len(pattern) or not _FLAGS.keys() >= set(options) or not options.isascii():
        raise Unfaithful(said)
    if ignoring and (not pattern.isascii() or _OF_WORDS.search(pattern)):
        raise Unfaithful(said)
    flags = re.ASCII
    for option in options:
        flags |= _FLAGS[option]
    try:
        search = re.compile(pattern, flags).search
    except (re.error, RecursionError, OverflowError) as error:
        raise Unfaithful(said) from error
    if ignoring:
        return lambda text: search(text.translate(_ALIKE)) is not None
    return lambda text: search(text) is not None
