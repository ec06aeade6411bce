"""Which fields of the users say that they are not to be shown. Pure; all of it is for a person to check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lbmigrate.detect.looked_at import Column, LookedAt
from lbmigrate.detect.proposal import Question, Why
from lbmigrate.detect.words import (
    BOARD,
    DELETED,
    GONE,
    HIDES,
    PRESENT,
    SHOWN_TO_ALL,
    SHOWN_TO_SOME,
    SHOWS,
    STATE,
    VISIBILITY,
    words_of,
)

HIDING_WORDS = HIDES - {"out"} | SHOWN_TO_SOME


def opt_out(
    look: LookedAt, answers: Mapping[str, str], values: dict[str, object], why: dict[str, Why]
) -> list[Question]:
    """The field by which users hide or show themselves, in `values`. What its absence means is asked for."""
    column = next(iter(_choices(look)), None)
    if column is None:
        return []
    shows = _shows(column.path)
    asked = Question(
        "opt_out.missing",
        f"{column.path} is absent in {1 - column.fill:.0%} of {look.name}: are these users on the board?",
        ("yes", "no"),
    )
    on_board = answers.get(asked.key, "yes") == "yes"
    values["opt_out"] = {"path": column.path, "missing": not on_board, **({"negate": True} if shows else {})}
    says = "show me" if shows else "hide me"
    why["opt_out"] = Why(f"true means {says}, by its name; absent in {1 - column.fill:.0%}", sure=False)
    return [asked] if column.fill < 1 else []


def hidden(look: LookedAt, values: dict[str, object], why: dict[str, Why]) -> None:
    """More conditions under which a user is not shown, in `values`: words that hide, flags of those who are gone."""
    found = [each for column in look.columns.values() if (each := _condition(column, look)) is not None]
    if found:
        values["hidden"] = [condition for condition, _ in found]
        why["hidden"] = Why("; ".join(told for _, told in found), sure=False)


def _condition(column: Column, look: LookedAt) -> tuple[dict[str, Any], str] | None:
    if not column.present or column in _choices(look)[:1]:
        return None
    condition = _of_words(column) or _of_a_flag(column) or _of_a_time(column)
    return ({"path": column.path, **condition}, _seen(column)) if condition else None


def _of_words(column: Column) -> dict[str, Any]:
    """Of words such as private and public those that hide; of a state those that say that the user is gone."""
    words = [each for each in column.states if isinstance(each, str)]
    if len(words) < len(column.states):
        return {}
    gone = [each for each in words if not words_of(each).isdisjoint(GONE)]
    if gone and not words_of(column.name).isdisjoint(STATE):
        return {"in": gone}
    if words_of(column.path).isdisjoint(BOARD | VISIBILITY) or not any(map(_tells_who_sees, words)):
        return {}
    return {"in": hiding} if (hiding := [each for each in words if not _is_for_all(each)]) else {}


def _tells_who_sees(word: str) -> bool:
    return not words_of(word).isdisjoint(SHOWN_TO_ALL | HIDING_WORDS)


def _is_for_all(word: str) -> bool:
    return not words_of(word).isdisjoint(SHOWN_TO_ALL) and words_of(word).isdisjoint(HIDING_WORDS | {"not"})


def _of_a_flag(column: Column) -> dict[str, Any]:
    """`deactivated: true`, `isActive: false`; as 1 and 0 where the app writes numbers."""
    if not column.states or not set(column.states) <= {0, 1}:
        return {}
    words, as_number = words_of(column.name), not column.is_bool
    says_present = not words.isdisjoint(PRESENT) or (_is_a_choice(column) and _shows(column.path))
    if not says_present and words.isdisjoint(GONE | DELETED) and not _is_a_choice(column):
        return {}
    hides = says_present == (not words.isdisjoint({"not", "in", "un"}))
    return {"equals": int(hides) if as_number else hides}


def _of_a_time(column: Column) -> dict[str, Any]:
    """`deletedAt`: whoever has it is gone."""
    called = not words_of(column.name).isdisjoint(GONE | DELETED)
    return {"exists": True} if called and column.is_time else {}


def _seen(column: Column) -> str:
    counted: Counter[Any] = column.states
    if not counted:
        return f"{column.path} is there in {column.fill:.0%}"
    total = sum(counted.values())
    told = ", ".join(f"{value} in {count / total:.0%}" for value, count in counted.most_common(5))
    return f"{column.path}: {told}"


def _choices(look: LookedAt) -> list[Column]:
    """The fields with yes and no by which users choose, the likeliest first."""
    return sorted((each for each in look.columns.values() if _is_a_choice(each)), key=_rank_of_a_choice)


def _is_a_choice(column: Column) -> bool:
    words = words_of(column.path)
    if not column.is_bool or words.isdisjoint(HIDES | SHOWS):
        return False
    return not words.isdisjoint(BOARD) or not words_of(column.name).isdisjoint(HIDES - {"out"})


def _shows(path: str) -> bool:
    words = words_of(path)
    return words.isdisjoint(HIDES) and not words.isdisjoint(SHOWS)


def _rank_of_a_choice(column: Column) -> tuple[bool, float]:
    return words_of(column.path).isdisjoint(BOARD), -column.fill
