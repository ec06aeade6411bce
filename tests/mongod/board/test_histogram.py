"""Ranks from a histogram are those of counting, whoever writes, dies or sleeps in between."""

from __future__ import annotations

import datetime as dt
import random
import threading
from contextlib import suppress
from functools import partial
from itertools import count

import pytest
from bson import Int64
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from lbmigrate import Board
from lbmigrate.board import histogram
from lbmigrate.board.histogram import Histogram, moved_from
from lbmigrate.ledger import listing as lists
from lbmigrate.ledger import make_histograms
from lbmigrate.ledger.changes import update
from lbmigrate.ledger.histograms import Histograms, as_listed
from lbmigrate.ledger.listing import listing
from lbmigrate.ledger.make_histograms import Making
from lbmigrate.ledger.uncounting import remove
from lbmigrate.schema import ENTRIES, ENTRIES_BY_RANK, ENTRIES_MOVED
from tests.apps import App, config, oid

PERIOD = "global"
PEOPLE, BEST = 12, 9
CLOCK = count()


class Death(BaseException):
    """The process is gone before this write."""


class Mortal:
    """A collection of a process that dies before its write number `left`, or in the middle of it."""

    WRITES = frozenset({"update_one", "insert_one", "delete_one", "delete_many", "bulk_write"})

    def __init__(self, collection, life):
        self._collection, self._life = collection, life

    def __getattr__(self, name):
        found = getattr(self._collection, name)
        if name not in self.WRITES:
            return found

        def write(first, *more, **how):
            self._life[0] -= 1
            if self._life[0] < 0:
                if name == "bulk_write":
                    found(first[: max(1, len(first) // 2)], ordered=True)
                raise Death
            return found(first, *more, **how)

        return write


def entry(number, score, **fields):
    """One that is made now, later than any other."""
    made = dt.datetime(2025, 1, 1) + dt.timedelta(seconds=next(CLOCK))
    counted = {"score": Int64(score), "events": Int64(1), "rev": Int64(1), "createdAt": made}
    return {"_id": f"{PERIOD}:{oid(number)}", "userId": oid(number), "period": PERIOD, **counted, **fields}


@pytest.fixture
def app(database, monkeypatch):
    """Boards so small that every bucket and every way of reading is met."""
    monkeypatch.setattr(histogram, "SIZE", 3)
    monkeypatch.setattr(histogram, "WORTH", 0)
    monkeypatch.setattr(make_histograms, "LEAST", 1)
    monkeypatch.setattr(make_histograms, "OUTGROWN", 5)
    for index in (ENTRIES_BY_RANK, ENTRIES_MOVED):
        database[ENTRIES].create_index(list(index.keys), **index.options)
    return App(database)


def from_histogram(app, scores):
    """The ranks of these scores as the histogram has them; None where there is none."""
    kept = Histogram.of(app.state.rows.find_one({"_id": f"ranks:{PERIOD}"}) or {})
    if kept is None:
        return None
    readings = kept.readings(PERIOD, scores)
    rows = [row for stages in readings for row in app.database[ENTRIES].aggregate(stages)]
    return kept.ranks(scores, rows) if kept.is_in(list(app.state.rows.find({"_id": f"ranks:{PERIOD}"}))) else None


def counted(app, scores):
    entries = app.database[ENTRIES]
    return {score: 1 + entries.count_documents({"period": PERIOD, "score": {"$gt": score}}) for score in scores}


class World:
    """Processes that write entries and histograms, some of them asleep between two commands."""

    def __init__(self, app):
        self.app, self.entries, self.asleep, self.hands = app, app.database[ENTRIES], [], []

    def histograms(self, life=10**6):
        found, left = Histograms(self.app.context()), [life]
        found.rows, found.entries = Mortal(found.rows, left), lambda name: Mortal(self.app.database[name], left)
        return found

    def making(self, life=10**6):
        found = Making(self.app.context())
        found._histograms = self.histograms(life)
        return found

    def update(self, number, score):
        """What a writer that has read the entry is about to send."""
        found = self.entries.find_one({"_id": f"{PERIOD}:{oid(number)}"})
        return found and update(found, {"score": Int64(score)}, dt.datetime(2025, 1, 1), {PERIOD}, ())

    def move(self, number, score):
        if update := self.update(number, score):
            self.entries.update_one(*update)

    def fall_asleep_moving(self, number, score):
        if update := self.update(number, score):
            self.asleep.append(lambda: self.entries.update_one(*update))

    def insert(self, number, score):
        with suppress(DuplicateKeyError):
            self.entries.insert_one(entry(number, score, moved=moved_from(None, PERIOD)))

    def settle(self, life):
        self.histograms(life).settle(0)

    def roll_up(self, number, score, life):
        """What a roll-up by a run does: the entry is listed while it changes."""
        found = self.entries.find_one({"_id": f"{PERIOD}:{oid(number)}"})
        if found is None:
            return
        steps = self.histograms(life)
        with listing(steps, [found], frozenset({PERIOD})) as listed:
            now, marked = dt.datetime(2025, 1, 1), {PERIOD}
            change = update(found, {"score": Int64(score)}, now, marked, listed.names)
            if steps.entries(ENTRIES).bulk_write([UpdateOne(*change)]).modified_count:
                listed.now = {found["_id"]: score}

    def begin(self, number, score, first=10**6):
        """One hand of a run lists an entry and changes it; so do others before it has ended.

        The entry may be as it was some changes before: somebody else was faster.
        """
        found = self.entries.find_one({"_id": f"{PERIOD}:{oid(number)}"})
        if found is None:
            return
        hand = listing(Histograms(self.app.context()), [found], frozenset({PERIOD}))
        listed = hand.__enter__()
        if first < len(OTHERS):
            getattr(self, OTHERS[first])(number, score)
        change = update(found, {"score": Int64(score)}, dt.datetime(2025, 1, 1), {PERIOD}, listed.names)
        if self.entries.update_one(*change).modified_count:
            listed.now = {found["_id"]: score}
        self.hands.append(hand)

    def end(self, number, fails=False):
        if self.hands:
            hand = self.hands.pop(number % len(self.hands))
            with suppress(Death):
                hand.__exit__(*((Death, Death(), None) if fails else (None, None, None)))

    def end_all(self):
        while self.hands:
            self.end(0)

    def remove_whole(self, number, _):
        self.remove(number, 10**6)

    def remove(self, number, life):
        remove(self.histograms(life), ENTRIES, {"userId": oid(number)})

    def make(self, life):
        list(self.making(life).heal())

    def make_again(self, life):
        self.making(life)._make(PERIOD)

    def void(self, life):
        self.histograms(life).void()

    def fall_asleep_settling(self, number, is_counted):
        """Between the first step and the second."""
        steps = self.histograms()
        row = steps.free(PERIOD)  # before the entry is read: what frees the row may change it
        found = self.entries.find_one({"_id": f"{PERIOD}:{oid(number)}"})
        if found is None:
            return
        if opened := steps.write(row, {"changing": {"counted": is_counted, "entries": [as_listed(found)]}}):
            self.asleep.append(lambda: steps.close(opened))

    def fall_asleep_making(self):
        steps, making = self.histograms(), self.making()
        row = steps.free(PERIOD)
        made = Histogram.made(row["version"], making._scores(ENTRIES, PERIOD)).row()
        self.asleep.append(lambda: steps.write(row, made))

    def wake(self, number):
        if self.asleep:
            self.asleep.pop(number % len(self.asleep))()


OTHERS = ("move", "remove_whole")  # what another does between the list of a hand and its write
people, scores, lives = st.integers(1, PEOPLE), st.integers(-1, BEST), st.integers(0, 7)
DEEDS = st.one_of(
    st.tuples(st.just("move"), people, scores),
    st.tuples(st.just("fall_asleep_moving"), people, scores),
    st.tuples(st.just("insert"), people, scores),
    st.tuples(st.just("roll_up"), people, scores, lives),
    st.tuples(st.just("begin"), st.integers(1, 3), scores, st.integers(0, 5)),
    st.tuples(st.just("end"), people, st.booleans()),
    st.tuples(st.just("settle"), lives),
    st.tuples(st.just("remove"), people, lives),
    st.tuples(st.just("make"), lives),
    st.tuples(st.just("make_again"), lives),
    st.tuples(st.just("void"), lives),
    st.tuples(st.just("fall_asleep_settling"), people, st.booleans()),
    st.tuples(st.just("fall_asleep_making")),
    st.tuples(st.just("wake"), people),
)


def tried(app, begun, deeds):
    """Entries with these scores, and a histogram; after each deed it says what counting says, or nothing."""
    world = World(app)
    world.entries.delete_many({})
    app.state.rows.delete_many({})
    world.entries.insert_many([entry(number, score) for number, score in enumerate(begun, 1)])
    world.make(10**6)
    asked = range(-2, BEST + 2)
    try:
        for deed, *given_to in deeds:
            with suppress(Death):
                getattr(world, deed)(*given_to)
            ranks = from_histogram(app, asked)
            assert ranks in (None, counted(app, asked)), (deed, given_to)
    finally:
        world.end_all()
    assert from_histogram(app, asked) in (None, counted(app, asked))


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example empties the database
@given(begun=st.lists(scores, min_size=1, max_size=PEOPLE - 2), deeds=st.lists(DEEDS, min_size=5, max_size=25))
def test_a_histogram_says_what_counting_says_whoever_moves_goes_dies_or_sleeps(app, begun, deeds):
    tried(app, begun, deeds)


@pytest.mark.parametrize("seed", range(10))
def test_a_histogram_says_what_counting_says_whichever_hands_share_a_list(app, seed):
    chance = random.Random(seed)
    kinds = [chance.choice(["begin", "begin", "end", "move"]) for _ in range(chance.randint(8, 20))]
    few, score = partial(chance.randint, 1, 3), partial(chance.randint, -1, BEST)
    ways = {
        "begin": lambda: (few(), score(), chance.randint(0, 9)),
        "end": lambda: (few(), chance.random() < 0.1),
        "move": lambda: (few(), score()),
    }
    tried(app, [1, 2, 3, 4], [(kind, *ways[kind]()) for kind in kinds])


@pytest.fixture
def world(app):
    """One with a histogram of ten entries."""
    world = World(app)
    world.entries.insert_many([entry(number, number) for number in range(1, 11)])
    world.make(10**6)
    return world


def test_who_slept_while_an_entry_went_and_came_again_settles_nothing_of_the_new_one(app, world):
    world.insert(11, 4)
    world.fall_asleep_settling(11, is_counted=True)
    world.settle(10**6)
    world.remove(11, 10**6)
    world.insert(11, 7)
    world.wake(0)
    assert from_histogram(app, range(12)) == counted(app, range(12))


def test_who_slept_while_an_entry_went_and_came_again_does_not_write_an_old_score_into_the_new_one(app, world):
    world.insert(11, 4)
    world.fall_asleep_moving(11, 5)
    world.remove(11, 10**6)
    world.insert(11, 7)
    world.wake(0)
    assert world.entries.find_one({"userId": oid(11)})["score"] == 7


def listed_in(app):
    row = app.state.rows.find_one({"_id": f"ranks:{PERIOD}"})
    return [each["entry"] for each in row.get("changing", {"entries": []})["entries"]]


def test_hands_of_a_run_share_a_list_and_the_last_one_ends_it(app, world):
    world.begin(3, 9)
    world.begin(4, 1)
    assert listed_in(app) == [f"{PERIOD}:{oid(number)}" for number in (3, 4)]
    assert from_histogram(app, range(12)) == counted(app, range(12))
    world.end(0)
    assert len(listed_in(app)) == 2
    world.begin(5, 8)
    world.end_all()
    assert listed_in(app) == []
    assert not any("moved" in each for each in world.entries.find())
    assert from_histogram(app, range(12)) == counted(app, range(12))


def test_an_entry_that_another_hand_has_listed_is_marked(app, world):
    world.begin(3, 9)
    world.begin(3, 1)
    assert len(listed_in(app)) == 1
    assert from_histogram(app, range(12)) == counted(app, range(12))
    world.end_all()
    assert from_histogram(app, range(12)) == counted(app, range(12))


def test_a_list_that_one_hand_leaves_by_an_error_is_ended_by_the_last_one_or_by_whoever_comes_next(app, world):
    world.begin(3, 9)
    world.begin(4, 1)
    world.end(0, fails=True)
    assert len(listed_in(app)) == 2
    world.end(0)
    assert listed_in(app) == []
    world.begin(5, 2)
    world.end(0, fails=True)
    assert len(listed_in(app)) == 1
    assert from_histogram(app, range(12)) == counted(app, range(12))
    world.settle(10**6)
    world.make_again(10**6)
    assert listed_in(app) == []
    assert from_histogram(app, range(12)) == counted(app, range(12))


def test_where_somebody_else_has_ended_a_list_entries_are_marked(app, world):
    world.begin(3, 9)
    Histograms(app.context()).free(PERIOD)
    world.begin(4, 1)
    assert listed_in(app) == []
    assert world.entries.find_one({"userId": oid(4)})["moved"]["from"] == 4
    world.end_all()
    assert from_histogram(app, range(12)) == counted(app, range(12))


def test_a_hand_waits_while_a_list_has_no_room(app, world, monkeypatch):
    monkeypatch.setattr(lists, "MOST", 1)
    world.begin(3, 9)
    other = threading.Thread(target=world.begin, args=(4, 1))
    other.start()
    assert listed_in(app) == [f"{PERIOD}:{oid(3)}"]
    world.end(0)
    other.join()
    assert listed_in(app) == [f"{PERIOD}:{oid(4)}"]
    world.end_all()
    assert from_histogram(app, range(12)) == counted(app, range(12))


def test_an_entry_of_nobody_is_counted_as_a_count_counts_it(app, world):
    world.entries.insert_one(entry(11, 5, userId={"id": 1}))
    world.entries.insert_one(entry(12, 5, userId=[1]))
    world.make_again(10**6)
    assert from_histogram(app, range(12)) == counted(app, range(12))


def test_what_goes_with_a_user_whose_entry_others_have_changed_is_counted_no_more(app, world):
    for change in ({"period": ["global"]}, {"rev": "x"}):
        world.entries.update_one({"userId": oid(3)}, {"$set": change})
        world.remove(3, 10**6)
        assert from_histogram(app, range(12)) in (None, counted(app, range(12)))
        world.entries.insert_one(entry(3, 6))
        world.make_again(10**6)


def test_ranks_come_from_the_histogram_in_each_question(app):
    world = World(app)
    world.entries.insert_many([entry(number, number % 7) for number in range(1, 41)])
    world.make(10**6)
    world.move(3, 5)
    world.insert(41, 2)
    board = Board(app.database, config())
    expected = {f"{oid(number)}": None for number in range(1, 42)}
    found = {place.user: place.rank for place in board.top(n=100)}
    assert found.keys() == expected.keys()
    entries = app.database[ENTRIES]
    for user, rank in found.items():
        place = board.rank(user)
        assert place.rank == rank == 1 + entries.count_documents({"score": {"$gt": place.score}})
        near = board.around(user, n=2)
        above = [entries.count_documents({"score": {"$gt": each.score}}) for each in near]
        assert [each.rank - 1 for each in near] == above
    assert {place.user: place.rank for place in board.among(found)} == found


@pytest.mark.slow
def test_each_answer_lies_between_what_was_written_before_the_question_and_what_was_by_the_answer(app):
    """Two recorders and a run raise scores, while the histogram is settled and made again all the time."""
    world, numbers = World(app), range(1, 61)
    world.entries.insert_many([entry(number, number % 7) for number in numbers])
    world.make(10**6)
    begun, done = dict.fromkeys(numbers, 0), {number: number % 7 for number in numbers}
    over, failed = threading.Event(), []

    def write(own, way):
        rng = random.Random(way)
        while not over.is_set():
            number = rng.choice(own)
            begun[number] = done[number] + 1
            if way == "run":
                world.roll_up(number, begun[number], 10**6)
            else:
                world.move(number, begun[number])
            done[number] = world.entries.find_one({"userId": oid(number)})["score"]

    def keep():
        while not over.is_set():
            world.settle(10**6)
            world.make_again(10**6)

    def guarded(work, *given_to):
        try:
            work(*given_to)
        except Exception as error:
            failed.append(error)

    writers = [(write, numbers[::3], "one"), (write, numbers[1::3], "two"), (write, numbers[2::3], "run"), (keep,)]
    threads = [threading.Thread(target=guarded, args=each) for each in writers]
    for thread in threads:
        thread.start()
    answered = 0
    for number in range(300):
        asked = [number % 9]
        least = sum(score > asked[0] for score in list(done.values()))
        ranks = from_histogram(app, asked)
        most = sum(max(begun[each], done[each]) > asked[0] for each in numbers)
        answered += ranks is not None
        assert ranks is None or least <= ranks[asked[0]] - 1 <= most
    over.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert answered > 20
    world.settle(10**6)
    assert from_histogram(app, range(30)) == counted(app, range(30))
