"""New events folded into the entries of their users, without reading what was there before.

A roll-up reads all events of a user. Where few are new, this does without. Why the result is the same:

1. An entry is read before the new events are inserted (`looked_at`), so it counts none of them. It stands for a set of
   events S, all in the ledger, that its writer has read (but for a moment of a failover: `one_wait`).
2. The insert says which events are new: K, all of them in the ledger now, none of them in S. An event that was there
   already, for whatever reason, may be in S or not: its user is rolled up.
3. What is written is S and K together, by a write that matches only the very entry that was read (`entries.this`).
   Whoever has written one meanwhile, or removed it, makes that write match nothing: then the user is rolled up.
4. Who rolls up, and has read an entry before that, does not match it any more and begins again; one who reads it after
   that finds K in the ledger, for K was there before it was written. So the proof of `rollup` holds as it is.

That alone would keep an entry as wrong as it was: it may lack an event whose writer has died, or writes no entries. So
it must vouch for the ledger besides: an index says how many events that has, and when they were. There are two ways to
compute what S and K come to, which say what they hold against the index:

- `fold_by_index`, for backfills: from the times of all of a user's events, so a new one may be of any day;
- `fold_newest`, for those who record live: from the entry alone, where no new event is of an earlier day.

Nobody vouches whose entries count otherwise than the ledger, as after an adjustment (`rules.vouching`); who looks
otherwise than in the entry, or has another zone; and nothing is folded while entries move, or say since when their
scores are what they are. All these are rolled up, from the whole ledger. What is taken on trust: the score of an entry
that counts right. If somebody edits that, a verification says so, and what it names is computed from the whole ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from lbmigrate.board.profiles import ZONE
from lbmigrate.ledger import boards_anew
from lbmigrate.ledger.changes import Differences, changed_fields, differences
from lbmigrate.ledger.entries import Present
from lbmigrate.ledger.histograms import MOST_MOVED, Histograms
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.looked_at import entries_of
from lbmigrate.ledger.people import People
from lbmigrate.ledger.rolled import Rolled
from lbmigrate.records import Document
from lbmigrate.rules.vouching import OVERALL, counted
from lbmigrate.run.additions import UNREAD, Entries
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.schema.layout import Layout
from lbmigrate.state import layouts
from lbmigrate.state.layouts import Seen
from lbmigrate.values.id_text import id_text
from lbmigrate.values.ids import in_parts, plain_id
from lbmigrate.values.limits import names_a_user

Made = Mapping[
    Any, Sequence[Document]
]  # by user: what entries come to, with period, score, streak, events, lastEventAt


def fold(
    context: Context, seen: Seen, made: Made, before: Entries, people: People, hands: int = 1
) -> tuple[Rolled, set[Any]]:
    """Write what the entries of some users come to, where it stays so: what came of it, and whose were written.

    `before` are the entries as they were read before the new events, None where there was none; `made` has all of them
    that change. So many `hands` write at the same time.
    """
    wanted = _wanted(context, seen.layout, made, before, people)
    if not wanted:
        return Rolled(), set()
    users, present = list(wanted), {key: entry for key, entry in before.items() if entry is not None}
    parts = [[entry for user in users[hand::hands] for entry in wanted[user]] for hand in range(hands)]
    found, lost = _written(context, seen.layout, present, parts)
    periods = {period for each in found for period in each.periods}
    if not layouts.stands(context.state, seen, periods):
        lost |= dict.fromkeys(users)  # a run has moved what was there
    if periods and not context.live:
        Histograms(context).settle(MOST_MOVED, periods)
    done = [user for user in users if user not in lost]
    if done and (boards := boards_anew.boards_of(context)):
        for names in in_parts([entry["_id"] for user in done for entry in wanted[user]]):
            boards.publish({"_id": {"$in": names}}, periods)
    return Rolled(len(done), sum(each.inserted for each in found), sum(each.changed for each in found)), set(done)


def _wanted(context: Context, layout: Layout, made: Made, before: Entries, people: People) -> dict[Any, list[Document]]:
    """The entries as they should be, of those users for whom that can be said."""
    left = _leavers(context, made, before)
    shown = people.shown(user for user in made if user not in left)
    found = {}
    for user, profile in shown.items():
        entries = [before.get((user, each["period"]), UNREAD) for each in made[user]]
        known = all(entry is not UNREAD and _shows(entry, profile) for entry in entries)
        if known and not any(each["period"] in layout.archived for each in made[user]):
            found[user] = [_entry(user, each, profile) for each in made[user]]
    return found


def _leavers(context: Context, made: Made, before: Entries) -> set[Any]:
    """Those who have left meanwhile, and who would get an entry that they did not have: it would stay.

    Of those that they had nothing is changed any more, or it goes after that.
    """
    begun = {user for user, some in made.items() if any(before.get((user, each["period"])) is None for each in some)}
    leavers = Leavers(context.state) if begun else ()  # after the events, as in every roll-up
    return {user for user in begun if leavers and user in leavers}


def _shows(entry: Document | None, shown: Document) -> bool:
    """Whether an entry shows of its user what is to be shown, computed by the same clocks; else all entries change."""
    if entry is None:
        return True
    return all(name in entry and entry[name] == value for name, value in shown.items()) and (ZONE in entry) == (
        ZONE in shown
    )


def _entry(user: Any, made: Document, shown: Document) -> Document:
    return {"_id": f"{made['period']}:{id_text(user)}", "userId": user, **made, **shown}


def _written(
    context: Context, layout: Layout, present: Present, parts: Sequence[Sequence[Document]]
) -> tuple[list[Differences], dict[Any, None]]:
    """Write entries: what was to be written, and the users for whom somebody else was faster."""
    work = partial(_write, context, layout, present)
    if len(parts) == 1:
        done = [work(parts[0])]
    else:
        with ThreadPoolExecutor(len(parts)) as pool:
            done = list(pool.map(work, parts))
    contested = {user: None for _, lost in done for user in lost}
    some = parts if contested else ()
    keys = {(e["userId"], e["period"]): e for part in some for e in part if e["userId"] in contested}
    now = entries_of(context.target, layout, keys)[0] if keys else {}
    # It is not told which writes were lost. An entry that is as it was to be may be so by somebody else's action.
    lost = {key[0]: None for key, e in keys.items() if (kept := now[key]) is None or changed_fields(kept, e)}
    lost |= dict.fromkeys(_uncounted(context, now, [user for user in contested if user not in lost]))
    return [each for each, _ in done], lost


def _uncounted(context: Context, now: Entries, users: Sequence[Any]) -> list[Any]:
    """Those of the users whose entries, as they are `now`, may lack an event of ours.

    An entry that stands for as many events as the ledger has stands for all of them, whoever wrote it.
    """
    found: dict[Any, int] = {}
    for part in in_parts(users):
        groups = context.target[EVENTS].aggregate([{"$match": {"userId": {"$in": part}}}, {"$sortByCount": "$userId"}])
        found |= {plain_id(group["_id"]): group["count"] for group in groups if names_a_user(group["_id"])}
    return [user for user in users if (kept := now.get((user, OVERALL))) is None or counted(kept) != found.get(user)]


def _write(
    context: Context, layout: Layout, present: Present, entries: Sequence[Document]
) -> tuple[Differences, dict[Any, None]]:
    histograms = Histograms(context)
    marked = histograms.marked(redone=not context.live)
    found = differences(layout, present, entries, marked, context.clock())
    idle = None if context.live else context.pace.idle  # who records live has no threads that are counted
    return found, found.write(context.target, histograms, idle)
