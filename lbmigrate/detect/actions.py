"""Which collections hold actions to score, and how each is mapped. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lbmigrate.detect import completion, left_out, lengths, lookups, references, timing
from lbmigrate.detect.completion import Scope
from lbmigrate.detect.lengths import Length
from lbmigrate.detect.looked_at import LookedAt
from lbmigrate.detect.people import Candidate
from lbmigrate.detect.proposal import Question, SourceFound, Why
from lbmigrate.detect.references import Known, Reference
from lbmigrate.detect.words import DERIVED, NOT_AN_ACTION, SESSION, TASK, is_called, speaks_of, words_of

TASK_POINTS = 10
SESSION_POINTS = "minimum(floor(minutes), 120)"
_odd = re.compile(r"[^A-Za-z0-9_-]+")


def sources(
    looks: Sequence[LookedAt], users: Candidate, known: Known, answers: Mapping[str, str]
) -> tuple[list[SourceFound], list[Question], dict[str, str]]:
    """The sources, what is to be asked about them, and why other collections are none."""
    found: list[SourceFound] = []
    questions: list[Question] = []
    left: dict[str, str] = {}
    for look in _places(looks, users):
        owner = _owner(look, users, known)
        if owner is None:
            left |= left_out.nobody_named(look)
            continue
        source, asked, reason = _source(look, owner, answers)
        questions += asked
        if source is not None:
            found.append(source)
        elif not look.array:
            left[look.name] = reason
    return _told_apart(found), questions, left


def _places(looks: Sequence[LookedAt], users: Candidate) -> list[LookedAt]:
    """Every collection but the users', and every array of sub-documents."""
    arrays = [look.unwound(array) for look in looks for array in look.arrays()]
    return [*(look for look in looks if look.name != users.look.name), *(each for each in arrays if each.documents)]


def _owner(look: LookedAt, users: Candidate, known: Known) -> Reference | None:
    """The field that says whose action a document is; for an array of the user's own document, the user's key."""
    if look.array and look.name == users.look.name:
        return Reference(look.columns[users.key], 1.0) if users.key in look.columns else None
    named = references.to(look, known.get((users.look.name, users.key), set())) or lookups.to(look, users.look, known)
    return next(iter(named), None)


def _source(
    look: LookedAt, owner: Reference, answers: Mapping[str, str]
) -> tuple[SourceFound | None, list[Question], str]:
    scope = completion.scope(look)
    took = lengths.length(look, scope.rows)
    if reason := _is_none(look, scope, took):
        return None, [], reason
    place = f"{look.name}.{look.array}" if look.array else look.name
    questions = []
    if _doubtful(look, scope):
        asked = Question(f"source.{place}", f"Are documents of {place} actions that earn points?", ("yes", "no"))
        questions.append(asked)
        if answers.get(asked.key) == "no":
            return None, questions, "answered so"
    if took is not None and not took.sure:
        options = tuple(dict.fromkeys([str(took.unit), *lengths.UNITS]))
        questions.append(
            Question(f"unit.{place}", f"In which unit is the duration of {place}? Seen: {took.evidence}.", options)
        )
    return _mapped(look, owner, scope, took, answers), questions, ""


def _is_none(look: LookedAt, scope: Scope, took: Length | None) -> str:
    """Why a collection is not a source, in words; nothing where it may be one."""
    if speaks_of(look.name, DERIVED) and not scope.is_marked:
        return "its name says that it is made from others: its points would count twice"
    if not scope.rows:
        return "no document that was looked at is finished"
    if not scope.is_marked and took is None and not _is_named_one(look):
        return "nothing says what is done, or how long it took"
    if not scope.is_marked and speaks_of(look.name, NOT_AN_ACTION):
        return "nothing says what is done"
    return ""


def _is_named_one(look: LookedAt) -> bool:
    """Whether being there is being done: a session is, a task only if it has a time besides those of its making."""
    name, times = look.array or look.name, timing.times_of(look)
    if is_called(name, SESSION):
        return bool(times)
    return is_called(name, TASK) and any(timing.is_of_an_action(each, look) for each in times)


def _doubtful(look: LookedAt, scope: Scope) -> bool:
    name = look.array or look.name
    return not (is_called(name, SESSION) or (scope.is_marked and is_called(name, TASK)))


def _mapped(
    look: LookedAt, owner: Reference, scope: Scope, took: Length | None, answers: Mapping[str, str]
) -> SourceFound:
    place = f"{look.name}.{look.array}" if look.array else look.name
    times = [each.path for each in timing.done_at(look, scope.rows, scope.time, is_session=took is not None)] or ["_id"]
    updated = timing.updated_of(look)
    values: dict[str, Any] = {"name": _word(place), "collection": look.name, "action": _action(look, took)}
    if look.array:
        values["unwind"] = look.array
    values |= {"where": scope.where} if scope.where else {}
    values["user"] = _user(owner)
    values["at"] = times
    values |= {"updated": updated.path} if updated else {}
    values |= _points(took, answers.get(f"unit.{place}", took.unit if took else None))
    values |= {"meta": {"priority": path}} if (path := _priority(look)) else {}
    cursor = updated.path if updated else times[0]
    missing = cursor if cursor not in look.indexed and cursor != "_id" else None
    return SourceFound(values, _why(look, owner, scope, took, times), missing, look.count)


def _user(owner: Reference) -> Any:
    if owner.lookup:
        return {"path": owner.column.path, "lookup": f"users.{owner.lookup}"}
    return {"path": owner.column.path, "as": owner.coerce} if owner.coerce else owner.column.path


def _points(took: Length | None, unit: str | None) -> dict[str, Any]:
    if took is None:
        return {"points": TASK_POINTS}
    if took.between:
        return {"let": {"minutes": {"between": list(took.between), "to": "minutes"}}, "points": SESSION_POINTS}
    return {"let": {"minutes": {"path": took.path, "unit": unit, "to": "minutes"}}, "points": SESSION_POINTS}


def _why(look: LookedAt, owner: Reference, scope: Scope, took: Length | None, times: Sequence[str]) -> dict[str, Why]:
    seen = len(look.documents)
    what = "elements" if look.array else "documents"
    why = {"collection": Why(f"{len(scope.rows)} of {seen} {what} looked at are in scope", not _doubtful(look, scope))}
    if scope.where:
        why["where"] = Why("; ".join(scope.evidence), sure=False)
    why["user"] = _whose(owner)
    rates = [f"{path} in {_fill(look, path, scope.rows):.0%}" for path in times]
    why["at"] = Why("of those in scope: " + ", ".join(rates), sure=False)
    worth = "a point a minute" if took else f"{TASK_POINTS} points each"
    why["points"] = Why(f"{worth} is only a beginning: how much is it worth to you?", sure=False)
    if took is not None:
        why["let"] = Why(took.evidence, took.sure)
    return why


def _whose(owner: Reference) -> Why:
    if owner.lookup:
        found = f"{owner.hits:.0%} of its values are, in any case, what {owner.lookup} of a user has"
        return Why(f"{found}; the id is that user's key", sure=False)
    form = f", written as another type in some (`as: {owner.coerce}`)" if owner.coerce else ""
    return Why(f"{owner.hits:.0%} of its values are users{form}")


def _fill(look: LookedAt, path: str, rows: Sequence[int]) -> float:
    values = look.columns[path].values
    return sum(values[row] is not None for row in rows) / len(rows)


def _priority(look: LookedAt) -> str | None:
    return next((each.path for each in look.own() if words_of(each.name) == {"priority"} and each.states), None)


def _word(place: str) -> str:
    return (_odd.sub("_", place).strip("_") or "source")[:60]


def _action(look: LookedAt, took: Length | None) -> str:
    return "focus_session" if took is not None else "task_complete"


def _told_apart(found: Sequence[SourceFound]) -> list[SourceFound]:
    """The same sources, each action and each name once: equal ids of two collections would count as one event."""
    told: list[SourceFound] = []
    for source in found:
        used = {each.values["action"] for each in told}
        action = source.values["action"]
        own = action if action not in used else f"{source.name}_{'session' if 'let' in source.values else 'done'}"[:60]
        told.append(SourceFound({**source.values, "action": own}, source.why, source.missing_index, source.documents))
    return told
