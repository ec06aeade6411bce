"""Which collection holds the users, and what the board may show of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lbmigrate.detect import hiding, lookups, references
from lbmigrate.detect.looked_at import Column, LookedAt
from lbmigrate.detect.proposal import Question, UsersFound, Why
from lbmigrate.detect.references import Known, Reference
from lbmigrate.detect.timing import updated_of
from lbmigrate.detect.words import LEGAL_NAME, PICTURE, SHOWN_NAME, USERS, ZONES, speaks_of, words_of
from lbmigrate.errors import Refused
from lbmigrate.values.zones import zone_named

CLOSE = 0.6  # of the best score: a second collection that may be the users as well
LONGEST_NAME = 60  # characters of a name that is shown
MOST_LISTED = 12  # fields in one sentence
HALF = 0.5
A_PERSON = 2.5  # what `_persons` gives a collection that has e-mail addresses


@dataclass(frozen=True, slots=True)
class Candidate:
    """A collection and a key that others refer to, with the fields that do."""

    look: LookedAt
    key: str
    score: float
    referring: Mapping[str, Sequence[Reference]]


def keys(look: LookedAt) -> list[str]:
    """The paths that may name a user: `_id`, and whatever is different in every document."""
    unique = (each for each in look.columns.values() if each.is_unique and not (each.is_time or each.is_url))
    return ["_id", *(each.path for each in unique if each.path != "_id" and len(look.documents) > 1)]


def candidates(looks: Sequence[LookedAt], known: Known) -> list[Candidate]:
    """Collections that may be the users, the likeliest first."""
    found = [_candidate(look, key, looks, known) for look in looks for key in keys(look) if not _is_address(look, key)]
    persons = [each for each in found if each.score > 0]
    return sorted(persons, key=lambda each: (-each.score, each.key != "_id", each.look.name))


def _is_address(look: LookedAt, key: str) -> bool:
    """An e-mail address is looked up (`lookup`), never a key: no address comes into the ledger."""
    return key in look.columns and look.columns[key].is_email


def _candidate(look: LookedAt, key: str, looks: Iterable[LookedAt], known: Known) -> Candidate:
    ids = known.get((look.name, key), set())
    pairs = ((other.name, _naming(other, look, key, ids, known)) for other in looks if other.name != look.name)
    referring = {name: found for name, found in pairs if found}
    # What others refer to may be projects too: those who are persons have an address, a picture or a password.
    score = len(referring) * _persons(look) + (_persons(look) - 1 if key == "_id" else 0)
    return Candidate(look, key, score, referring)


def _naming(other: LookedAt, look: LookedAt, key: str, ids: set[Any], known: Known) -> list[Reference]:
    """The fields of another collection that name these documents: by their key, else by what is looked up."""
    return references.to(other, ids) or (lookups.to(other, look, known) if key == "_id" else [])


def may_be_looked_up(look: LookedAt) -> list[str]:
    """The text fields of a collection of persons that others may name them by."""
    if _persons(look) < A_PERSON:
        return []
    return [key for key in keys(look) if key != "_id" and _is_text(look.columns[key])]


def _persons(look: LookedAt) -> float:
    """How much a collection's documents look like persons; 1 where nothing speaks for it."""
    columns = [each for each in look.columns.values() if each.fill > 0.2]
    traits = {
        2.0: speaks_of(look.name, USERS),
        1.5: any(each.is_email for each in columns),
        1.0: any(each.is_password for each in columns),
        0.5: any(each.is_url or speaks_of(each.path, PICTURE) for each in columns),
    }
    return 1 + sum(weight for weight, has in traits.items() if has)


def choose(found: Sequence[Candidate], answers: Mapping[str, str]) -> tuple[Candidate, list[Question]]:
    """The users, and a question where another collection is nearly as likely. Raises Refused where there is none."""
    if not found:
        raise Refused(
            "no collection looks as if it held users: none is referred to by others",
            "lbmigrate config init --template, and fill it in by hand",
        )
    names = list(dict.fromkeys(each.look.name for each in found if each.score >= CLOSE * found[0].score))
    wanted = answers.get("users", names[0])
    chosen = next((each for each in found if each.look.name == wanted), found[0])
    asked = Question("users", "Which collection holds the users?", tuple(names))
    return chosen, [asked] if len(names) > 1 else []


def users(chosen: Candidate, answers: Mapping[str, str]) -> tuple[UsersFound, list[Question]]:
    """The `users` of a configuration for the collection that was chosen."""
    look = chosen.look
    values: dict[str, object] = {"collection": look.name, "key": chosen.key}
    by = ", ".join(f"{name}.{found[0].column.path}" for name, found in sorted(chosen.referring.items())[:4])
    why = {"collection": Why(f"referred to by {by}" if by else "its documents hold the actions", bool(by))}
    if names := _shown_names(look):
        values["display_name"] = names
        why["display_name"] = Why(", ".join(f"{name} in {look.columns[name].fill:.0%}" for name in names))
    if pictures := [each.path for each in look.columns.values() if _is_picture(each)][:1]:
        values["avatar"] = pictures
    questions = hiding.opt_out(look, answers, values, why)
    hiding.hidden(look, values, why)
    if zone := next((each for each in look.columns.values() if _is_a_zone(each)), None):
        values["timezone"] = zone.path
        why["timezone"] = Why(f"time zones in {zone.fill:.0%}: days, weeks and streaks by each user's own clocks")
    if updated := updated_of(look):
        values["updated"] = updated.path
        why["updated"] = Why("never earlier than another time of the document")
    return UsersFound(values, why, "" if names else _nameless(look)), questions


def _nameless(look: LookedAt) -> str:
    """What to say where no name to show was found, with the fields that somebody may choose from."""
    texts = [each.path for each in look.columns.values() if each.path != "_id" and _is_text(each)]
    listed = ", ".join(texts[:MOST_LISTED]) or "none"
    return f"no display name was found: the board shows ids; fields of {look.name} with text: {listed}"


def _is_text(column: Column) -> bool:
    return column.share(lambda value: True) > HALF and not (column.is_password or column.is_time)


def _shown_names(look: LookedAt) -> list[str]:
    """Names that are made to be shown, the one that says so first; never an address, an id or a legal name alone."""
    columns = [each for each in look.columns.values() if _may_be_shown(each)]
    named = [each for each in columns if not words_of(each.name).isdisjoint(SHOWN_NAME)]
    chosen = named or [each for each in columns if _looks_like_a_name(each)]
    return [each.path for each in sorted(chosen, key=_rank_of_a_name)[:2]]


def _may_be_shown(column: Column) -> bool:
    texts = bool(column.present) and all(
        isinstance(value, str) and len(value) <= LONGEST_NAME for value in column.present
    )
    odd = column.is_email or column.is_url or column.is_password or column.is_time or column.path == "_id"
    return texts and not odd and words_of(column.path).isdisjoint({*LEGAL_NAME, "id", "uid", "file"})


def _looks_like_a_name(column: Column) -> bool:
    """Text that differs from user to user, with letters and no digits for the most part."""
    lettered = column.share(lambda value: sum(c.isalpha() or c in " .-'" for c in value) >= 0.8 * len(value))
    return column.fill > 0.5 and lettered > 0.8 and len(set(column.present)) > 0.5 * len(column.present)


def _rank_of_a_name(column: Column) -> tuple[int, float]:
    words = words_of(column.name)
    return next((place for place, word in enumerate(SHOWN_NAME) if word in words), len(SHOWN_NAME)), -column.fill


def _is_picture(column: Column) -> bool:
    texts = all(isinstance(value, str) for value in column.present)
    return texts and (column.share(lambda value: "://" in value) > 0.5 or speaks_of(column.name, PICTURE))


def _is_a_zone(column: Column) -> bool:
    """Text that names time zones for the most part. Some countries are names of zones, so what it is called counts."""
    called = not words_of(column.path).isdisjoint(ZONES) or column.share(lambda value: "/" in value) > 0.5
    return called and column.share(lambda value: zone_named(value) is not None) > 0.8
