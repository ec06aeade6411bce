"""Regular expressions that mean the same to Python and to a server (PCRE): those of a plain grammar, and no others.

A server gives up on a search that takes long, and says that nothing was found. Python goes on for ever, and hears no
signal meanwhile: what may take long is not searched for here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from lbmigrate.errors import UsageError
from lbmigrate.mongo.fake.unfaithful import Unfaithful
from lbmigrate.records import amount

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
_REPEATED = re.compile(r"[*+?]|\{\d+(?:,\d*)?\}")
MOST_REPEATED = 3
MOST_STEPS = 10**9  # some ten seconds
_OF_WORDS = re.compile(r"\\[wWbB]")
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
_ALIKE = str.maketrans({"\u017f": "s", "\u212a": "k"})  # which are letters s and k to a server that ignores case


def searching(pattern: str, options: str) -> Callable[[str], bool]:
    """Whether a text holds what a pattern describes. Raises Unfaithful where Python and a server may disagree."""
    said = f"$regex {pattern[:40]!r}" + (f" with $options {options[:10]!r}" if options else "")
    pieces = list(_pieces(pattern))
    ignoring = "i" in options
    if (
        sum(map(len, pieces)) < len(pattern)
        or _is_endless(pieces)
        or not _FLAGS.keys() >= set(options)
        or not options.isascii()
    ):
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
    repeated = sum(map(_repeats, pieces))

    def found(text: str) -> bool:
        if repeated and len(text) ** (repeated + 1) > MOST_STEPS:
            told = f"{said} over a text of {amount(len(text), 'character')} may take for ever in memory"
            raise UsageError(f"{told}; --engine mongod searches it", "the same command with --engine mongod")
        return search(text.translate(_ALIKE) if ignoring else text) is not None

    return found


def _pieces(pattern: str) -> Iterator[str]:
    end = 0
    while found := _PIECE.match(pattern, end):
        end = found.end()
        yield found[0]


def _repeats(piece: str) -> bool:
    return _REPEATED.match(piece) is not None


def _is_endless(pieces: Sequence[str]) -> bool:
    """Whether the ways to match may grow as a power of the text's length, or worse: repetitions within one another."""
    open_groups, last = [False], False  # for each group that is open, and for the one closed last: does it vary
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=True):
        if piece.startswith("("):
            open_groups.append(False)
        elif piece == ")":
            last = open_groups.pop() if len(open_groups) > 1 else False
            if last and _repeats(following):
                return True
            open_groups[-1] |= last
        elif piece == "|" or _repeats(piece):
            open_groups[-1] = True
    return sum(map(_repeats, pieces)) > MOST_REPEATED
