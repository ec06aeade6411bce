"""What a question is made of, and how the entries that it has found become places, with their ranks.

Ranks count everybody, hidden or not. They come from Redis where there is one, from the period's histogram where that is
quicker than counting, or are counted; exact they are in each of these ways. Who shares a score has the rank that
`board.ties` tells of.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from lbmigrate.board.histogram import ROW, Histogram
from lbmigrate.board.order import Order
from lbmigrate.board.place import Place, Ranks, is_whole, place_of, slim
from lbmigrate.board.profiles import (
    forms_of,
    of_document,
    of_setting,
    profile_paths,
    profiles_from,
    settings_asked,
)
from lbmigrate.board.ties import RankOf, Run, Scattered, by_value, dense, higher_scores, standing
from lbmigrate.records import Document
from lbmigrate.values.ids import exact_key
from lbmigrate.values.paths import projection_of

if TYPE_CHECKING:
    from lbmigrate.config.model import Config
    from lbmigrate.config.users import Users

T = TypeVar("T")
Stages = list[Document]
ANY: Document = {"$lte": float("inf")}  # score: a number; the index says so, without a look at each type
LIKELY = 10  # users asked for beside those that are wanted
VERSION: Document = {"$project": {"version": 1}}


class Ask(NamedTuple):
    """One thing to read: from which of the board's collections, and the stages of an aggregation.

    Redis is asked for `{"period": …, "above": score}`: how many have a higher score, and nothing if it cannot tell.
    The partitions are the periods that have a collection of their own, each as `{"period": …}`, and no stages.
    What is `spared` an answer can do without: where the client may not read it, nothing is found.
    """

    where: Literal["entries", "users", "settings", "state", "redis", "partitions"]
    stages: Stages
    period: str = "global"  # of the entries: it says which collection they are in
    keep: Callable[[Document], Document] = slim  # what is kept of each document that is read, so that none is large
    spared: bool = False


Reading = Generator[Sequence[Ask], list[list[Document]], T]


def uses_histograms(config: Config) -> bool:
    """Whether ranks come from histograms: not where Redis has them, nor where the state is in another database."""
    return config.redis.url is None and config.state.database is None


def histogram_of(config: Config, period: str) -> list[Ask]:
    """What reads a period's histogram, where ranks come from one."""
    return [_row(period)] if uses_histograms(config) else []


def how_many(period: str, score: Document = ANY) -> Ask:
    """How many entries a period has, with such a score."""
    return Ask("entries", [{"$match": {"period": period, "score": score}}, {"$count": "n"}], period)


def number(counts: Sequence[Document]) -> int:
    """What `how_many` has found."""
    return int(counts[0]["n"]) if counts else 0


def places(
    config: Config,
    order: Order,
    period: str,
    entries: Iterable[Document],
    kept: Sequence[Sequence[Document]] = (),
    hidden: bool = False,
    scattered: bool = False,
) -> Reading[list[Place]]:
    """Entries, which are in board order, as places, without the users who opted out unless hidden ones are asked for.

    `kept` is what `histogram_of` has found. Only `scattered` ones may have others between them than hidden ones.
    """
    whole = [entry for entry in entries if _may_be_shown(order, entry, hidden)]
    if not whole:
        return []
    ids, users = [entry["userId"] for entry in whole], config.users
    asked, tied = _people(users, ids), Scattered if scattered else Run
    (profiles, *wishes), rank_of = yield from _numbered(config, tied(order, period, whole), period, asked, whole, kept)
    found = _shown(whole, rank_of, _profiles_now(users, ids, profiles, wishes), hidden)
    return sorted(found, key=lambda place: place.rank)  # stable: the entries are in board order


def first_places(config: Config, order: Order, entries: Sequence[Document], n: int) -> Reading[list[Place]]:
    """More than `n` visible places, or as many as there are, from the entries that a board begins with.

    Hidden ones are among the entries: each has the rank at which it stands. The users of the rest are asked for only
    if some of the first `n` have opted out since their snapshot.
    """
    rank_of, users = standing(config.ranking.ties, entries), config.users
    waiting, found = (entry for entry in entries if _may_be_shown(order, entry)), list[Place]()
    while len(found) <= n and (some := list(islice(waiting, n - len(found) + LIKELY))):
        now = yield from _looked_up(users, [entry["userId"] for entry in some])
        found += _shown(some, rank_of, now, hidden=False)
    return found


def _may_be_shown(order: Order, entry: Document, hidden: bool = False) -> bool:
    """Whether an entry can be a place; what others have put there and cannot counts if its score is a number."""
    return is_whole(entry) and order.has_place(entry) and (hidden or not entry.get("optOutSnapshot"))


def _shown(entries: Sequence[Document], rank_of: RankOf, now: Mapping[Any, Document], hidden: bool) -> list[Place]:
    """The places of those whom their own documents do not hide."""
    shown = [entry for entry in entries if hidden or not now[entry["userId"]]["optOutSnapshot"]]
    return [place_of(entry, rank_of(entry), now[entry["userId"]]) for entry in shown]


def _row(period: str, *stages: Document) -> Ask:
    return Ask("state", [{"$match": {"_id": f"{ROW}:{period}"}}, *stages], keep=dict, spared=True)


def _people(users: Users, ids: Sequence[Any]) -> list[Ask]:
    """What some users' documents say now, and what is kept of their wishes apart from those."""
    return [_profiles(users, forms_of(ids)), *_settings(users, ids)]


def _looked_up(users: Users, ids: Sequence[Any]) -> Reading[dict[Any, Document]]:
    """What is shown of some users now. Other forms of an id are asked for only where nobody has the very id."""
    profiles, *wishes = yield [_profiles(users, ids), *_settings(users, ids)]
    there = {exact_key(each["key"]) for each in profiles}
    if absent := [user for user in ids if exact_key(user) not in there]:
        [others] = yield [_profiles(users, forms_of(absent))]
        profiles = [*profiles, *others]
    return _profiles_now(users, ids, profiles, wishes)


def _profiles_now(
    users: Users, ids: Sequence[Any], profiles: Sequence[Document], wishes: Iterable[Sequence[Document]]
) -> dict[Any, Document]:
    """What is shown of some users, by what `_people` has found."""
    return profiles_from(users, ids, profiles, list(chain.from_iterable(wishes)))


def _profiles(users: Users, keys: Sequence[Any]) -> Ask:
    wanted = {users.key: {"$in": list(keys)}}
    stages: Stages = [{"$match": wanted}, {"$project": projection_of(profile_paths(users))}]
    return Ask("users", stages, keep=partial(of_document, users))


def _settings(users: Users, ids: Sequence[Any]) -> list[Ask]:
    """What is kept of their wishes apart from the users."""
    if users.settings is None:
        return []
    wanted, shown = settings_asked(users, forms_of(ids))
    return [Ask("settings", [{"$match": wanted}, {"$project": shown}], keep=partial(of_setting, users))]


def _numbered(
    config: Config,
    tied: Run | Scattered,
    period: str,
    more: Sequence[Ask],
    entries: Sequence[Document],
    kept: Sequence[Sequence[Document]],
) -> Reading[tuple[list[list[Document]], RankOf]]:
    """What each of `more` finds, and the rank of each of the entries."""
    scores, last = [entry["score"] for entry in entries], len(more)
    if config.ranking.ties == "dense":  # which neither Redis nor a histogram knows
        asks = [Ask("entries", stages, period, dict) for stages in higher_scores(period, scores)]
        answers = yield [*more, *asks]
        above, within = answers[last:]
        return answers[:last], dense(scores, number(above), within)
    ordinal = config.ranking.ties == "ordinal"
    asks = [Ask("entries", stages, period, dict) for stages in tied.stages()] if ordinal else []
    answers, ranks = yield from _ranked(config, period, [*more, *asks], tied.scores if ordinal else scores, kept)

    def of_score(entry: Document) -> int:
        return ranks[entry["score"]]

    return answers[:last], tied.ranks(answers[last:], of_score) if ordinal else of_score


def _ranked(
    config: Config, period: str, more: Sequence[Ask], scores: Sequence[int], kept: Sequence[Sequence[Document]]
) -> Reading[tuple[list[list[Document]], dict[int, int]]]:
    """What each of `more` finds, and the rank of each of the scores."""
    histogram = next((Histogram.of(row) for rows in kept for row in rows), None)
    if histogram and histogram.helps(scores):
        asks = [Ask("entries", stages, period, dict) for stages in histogram.readings(period, scores)]
        # In this order: the row before the entries, for another server may answer, and once more after them.
        look = _row(period, VERSION)
        answers = yield [*more, look, *asks, look]
        found, (before, *parts, after) = answers[: len(more)], answers[len(more) :]
        if histogram.is_in(before) and histogram.is_in(after):
            return found, histogram.ranks(scores, [row for part in parts for row in part])
        counting, *grouping = _counts(period, scores)
        return found, _by_score(scores, *(yield [counting, *grouping]))
    counting, *grouping = _counts(period, scores)
    answers = yield [*more, *grouping, *_quickest(config, period, counting, scores)]
    found, answers = answers[: len(more)], answers[len(more) :]
    grouped, higher = answers[: len(grouping)], answers[len(grouping) :]
    if len(higher) == 2 and (higher[0] or not higher[1]):  # the boards in Redis are stale, or cannot be asked
        higher = yield [counting]
    return found, _by_score(scores, higher[-1], *grouped)


def _counts(period: str, scores: Sequence[int]) -> list[Ask]:
    """How many entries have higher scores than these, and how many each score from the highest to above the lowest.

    Counting is five times as fast as grouping, so that only the scores in question are grouped.
    """
    counting = how_many(period, {"$gt": max(scores)})
    if max(scores) == min(scores):
        return [counting]
    within = {"period": period, "score": {"$lte": max(scores), "$gt": min(scores)}}
    grouped = Ask("entries", [{"$match": within}, {"$group": {"_id": "$score", "n": {"$sum": 1}}}], period)
    return [counting, grouped]


def _quickest(config: Config, period: str, counting: Ask, scores: Sequence[int]) -> Sequence[Ask]:
    """How many there are above these scores: counted, or whether the boards in Redis are stale and what they say."""
    if config.redis.url is None:
        return [counting]
    stale = Ask("state", [{"$match": {"_id": "boards", "stale": True}}])
    return [stale, Ask("redis", [{"period": period, "above": max(scores)}])]


def _by_score(scores: Sequence[int], higher: Sequence[Document], grouped: Iterable[Document] = ()) -> dict[int, int]:
    counts = {by_value(row["_id"]): row["n"] for row in grouped}
    ranks = Ranks(number(higher), {min(scores): 0} | counts)
    return {score: ranks.of(score) for score in scores}
