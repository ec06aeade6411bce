"""What a look at a database comes to: values with the evidence for each, and what remains to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Why:
    """The evidence for a value, in a few words; `sure` unless somebody should look at it."""

    evidence: str
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """What a look cannot settle. `key` names the answer, `options` are the possible ones, the first is taken."""

    key: str
    text: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UsersFound:
    """The values of the configuration's `users`, the evidence by key, and what to say where no name was found."""

    values: Mapping[str, Any]
    why: Mapping[str, Why] = field(default_factory=dict)
    nameless: str = ""


@dataclass(frozen=True, slots=True)
class SourceFound:
    """One source: the values of its entry under `sources`, the evidence by key, indexes that are missing."""

    values: Mapping[str, Any]
    why: Mapping[str, Why] = field(default_factory=dict)
    missing_index: str | None = None
    documents: int = 0

    @property
    def name(self) -> str:
        return str(self.values["name"])


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration for a database; `left_out` says of other collections why they are no sources."""

    database: Mapping[str, Any]
    users: UsersFound
    sources: tuple[SourceFound, ...]
    questions: tuple[Question, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
