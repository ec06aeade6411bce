"""Whatever an app, its operator, cron and two runners do, in any order: the ledger and the board against a model.

Runs in memory, the same examples every time. LBMIGRATE_STATEFUL=mongod takes the embedded server instead, and
`--hypothesis-profile=explore` looks for new examples.
"""

from __future__ import annotations

import datetime as dt
import os
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lbmigrate import Board, ScoreRecorder, feature_flag
from lbmigrate.errors import LeaseLost
from lbmigrate.ledger import forget
from lbmigrate.migration.steps import STEPS, Step, s3_dual_write, s4_backfill
from lbmigrate.mongo import fake
from lbmigrate.reconcile import reconcile
from lbmigrate.records import Document, Piece
from lbmigrate.run import workers
from lbmigrate.run.context import Context, Scope, VerifyOptions
from lbmigrate.run.stop import Stop
from lbmigrate.state import Holder, Lease, State
from tests import oracle
from tests.apps import NEW_YEAR, SESSIONS, TASKS, USERS, App, config, oid, session, task, user

STRANGER = 9  # has tasks and no document among the users
SETTINGS = config(
    TASKS, SESSIONS, users=USERS | {"updated": "updatedAt"}, backfill={"chunk_size": 3, "workers": 2, "lag": "1d"}
)
TTL = 60.0
HERE = Holder.here("a test")

people = st.sampled_from([1, 2, 3, 4])
owners = st.sampled_from([1, 2, 3, 4, STRANGER, None])
some = st.integers(0, 30)
hours = st.integers(0, 200)
number_of_pieces = st.sampled_from([1, 2, 3, 5, 8, 13, 1_000, 1_000])  # the last are all of them


# --- the model -----------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """What the app's documents say, and who has left."""

    users: dict[int, tuple[str, bool]] = field(default_factory=dict)  # name, and whether the user hides
    tasks: dict[int, tuple[int | None, dt.datetime | None]] = field(default_factory=dict)  # owner, and when it was done
    sessions: dict[int, tuple[int, int, dt.datetime]] = field(default_factory=dict)  # owner, minutes, and the end
    left: set[int] = field(default_factory=set)

    def actions(self) -> oracle.Expected:
        """Everything that counts for somebody, by the id of its event."""
        found: oracle.Expected = {}
        for number, (owner, at) in self.tasks.items():
            if at is not None and owner is not None and owner not in self.left:
                found[f"task_complete:{oid(1000 + number)}"] = (oid(owner), 10, at)
        for number, (owner, minutes, at) in self.sessions.items():
            if owner not in self.left:
                found[f"focus_session:{oid(5000 + number)}"] = (oid(owner), min(minutes, 120), at)
        return found


Entry = tuple[int, int, int, dt.datetime, int]


def summed(events: list[Document]) -> dict[str, Entry]:
    """What the entries should hold, by their ids: the score, the actions that stand, the events, the newest time and
    the streak."""
    sums: dict[str, tuple[int, int, int, dt.datetime]] = {}
    stands: dict[Any, Counter[dt.date]] = defaultdict(Counter)
    days: dict[str, tuple[Any, set[dt.date]]] = {}
    for event in events:
        owner, at, points = event["userId"], event["createdAt"], event["points"]
        if event["meta"].get("forgotten"):
            continue
        year, week, _ = at.isocalendar()
        stands[owner][at.date()] += stand(event)
        for name in (f"global:{owner}", f"{year}-W{week:02}:{owner}"):
            score, standing, count, last = sums.get(name, (0, 0, 0, at))
            sums[name] = (score + points, standing + stand(event), count + 1, max(last, at))
            days.setdefault(name, (owner, set()))[1].add(at.date())
    return {name: (*found, streak(stands[days[name][0]], days[name][1])) for name, found in sums.items()}


def stand(event: Document) -> int:
    points = event["points"]
    moved = (points > 0) - (points < 0)
    return {None: 1, "restored": 1, "voided": -1, "rescored": 0, "moved": moved}[event["meta"].get("reason")]


def streak(stands: Counter[dt.date], within: set[dt.date]) -> int:
    """Up to the last of the days in the period on which something stands; days before the period count."""
    day = max((day for day in within if stands[day] > 0), default=dt.date.min)
    length = 0
    while stands[day - dt.timedelta(days=length)] > 0:
        length += 1
    return length


# --- runners -------------------------------------------------------------------------------------------------------


class Pool:
    """A ThreadPoolExecutor without threads, so that an example goes the same way every time.

    Work is done when it is handed in, as if its thread were fast; or, `late`, when somebody waits for it.
    """

    late = False

    def __init__(self, _: int) -> None:
        self.handed_in = 0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work: Callable[..., Any], *given: Any) -> Work:
        self.handed_in += 1
        handed_in = Work(self.handed_in, partial(work, *given[:-1]), given[-1])
        if not Pool.late:
            handed_in.do()
        return handed_in


class Work(Future[Any]):
    """One thing to do in a pool."""

    def __init__(self, number: int, work: Callable[[Any], Any], item: Any) -> None:
        super().__init__()
        self.number, self.work, self.item = number, work, item

    def do(self) -> None:
        try:
            self.set_result(self.work(self.item))
        except Exception as error:
            self.set_exception(error)


def wait(running: list[Work], **_: Any) -> tuple[list[Work], list[Work]]:
    """The work that was handed in first is done, and the rest goes on."""
    first = min(running, key=lambda work: work.number)
    if not first.done():
        first.do()
    return [first], [each for each in running if each is not first]


@dataclass
class Runner(App):
    """An app as one runner sees it: by a state of its own, which carries the fence of its lease."""

    own: State | None = None
    lease: Lease | None = None
    verb: str = ""
    pieces: Iterator[Piece] | None = None

    @property
    def state(self) -> State:
        return self.own

    def go_on(self, number: int, heedful: bool = True) -> bool:
        """Make so many pieces, each saved before the next; whether it has ended. Raises LeaseLost."""
        for _ in range(number):
            piece = next(self.pieces, None)
            if piece is None:
                return True
            if heedful:
                self.lease.check()
            if piece.checkpoint is not None:
                self.state.save(piece.checkpoint)
        return False


def prepare(context: Context) -> Iterator[Piece]:
    for step in STEPS[:3]:
        yield from step.apply(context)


def fall(context: Context) -> Iterator[Piece]:
    yield from s3_dual_write.fall_silent(context)
    for step in reversed(STEPS):
        yield from step.revert(context)


VERBS = ["prepare", "fall", "keep", "fill", "fill", "full", "one", "reconcile", "forget", "forget"]
TURNING = ("prepare", "fall", "keep")  # these turn the flag


class Leaderboard(RuleBasedStateMachine):
    """One app, its operator and the runners. `self.owed` are the verbs that must end before the entries are right."""

    new_database: Callable[[], Any]

    def __init__(self) -> None:
        super().__init__()
        self.database = type(self).new_database()
        self.model = Model()
        self.now, self.seconds = NEW_YEAR + dt.timedelta(days=60), 0.0
        self.app = App(self.database, SETTINGS, clock=self.tick)
        how = {"strict": True, "clock": self.tick, "monotonic": lambda: self.seconds}
        self.recorders = [ScoreRecorder(self.database, SETTINGS, **how) for _ in range(2)]
        self.board = Board(self.database, SETTINGS)
        self.runner: Runner | None = None
        self.asleep: list[Runner] = []
        self.owed = {"fill"}
        self.leaving: set[int] = set()
        self.ready = self.falling = False  # whether steps 1 to 3 are applied; whether a rollback has begun
        self.turning = False  # whether somebody may be turning the flag right now
        self.flag = {"write": False, "read": False}
        self.ledger: dict[str, Document] = {}

    def tick(self) -> dt.datetime:
        """A runner's clock, of which no two readings are the same."""
        self.seconds += 0.001
        return dt.datetime(2100, 1, 1) + dt.timedelta(seconds=self.seconds)

    def later(self, seconds: float) -> None:
        self.seconds += seconds

    # --- the app ---------------------------------------------------------------------------------------------------

    @initialize(
        tasks=st.lists(st.tuples(owners, st.booleans(), hours), max_size=12), late=st.booleans(), filled=st.booleans()
    )
    def begin_with(self, tasks: list[tuple[int | None, bool, int]], late: bool, filled: bool) -> None:
        Pool.late = late
        for name in ("users", "tasks"):
            self.database[name].create_index("updatedAt")
        for number in (1, 2, 3, 4):
            self.database["users"].insert_one(user(number, updatedAt=self.now))
            self.model.users[number] = (f"User {number}", False)
        for number, (owner, is_done, ago) in enumerate(tasks):
            self.set_task(number, owner, self.ago(ago) if is_done else None)
        if filled:
            for verb in ("prepare", "fill"):
                self.start(VERBS.index(verb), 1)
                self.advance(1_000)

    def ago(self, hours: int) -> dt.datetime:
        return self.now - dt.timedelta(hours=hours)

    def set_task(self, number: int, owner: int | None, at: dt.datetime | None) -> None:
        self.now += dt.timedelta(hours=1)
        self.model.tasks[number] = (owner, at)
        fields = {"status": "todo" if at is None else "done", "completedAt": at, "updatedAt": self.now}
        document = task(number, **fields) | {"userId": None if owner is None else oid(owner)}
        self.database["tasks"].replace_one({"_id": document["_id"]}, document, upsert=True)

    def set_session(self, number: int, owner: int, minutes: int, at: dt.datetime) -> None:
        self.model.sessions[number] = (owner, minutes, at)
        document = session(number, owner, minutes, endedAt=at)
        self.database["sessions"].replace_one({"_id": document["_id"]}, document, upsert=True)

    @rule(number=some, owner=owners, ago=hours)
    def finish_a_task(self, number: int, owner: int | None, ago: int) -> None:
        """A new one, or one that is there: then it may move to somebody else and to another time."""
        self.set_task(number, owner, self.ago(ago))

    @precondition(lambda self: self.model.tasks)
    @rule(which=some, change=st.sampled_from(["undo", "move", "delete"]), owner=owners)
    def change_a_task(self, which: int, change: str, owner: int | None) -> None:
        number = sorted(self.model.tasks)[which % len(self.model.tasks)]
        now_owner, at = self.model.tasks[number]
        if change == "delete":
            del self.model.tasks[number]
            self.database["tasks"].delete_one({"_id": oid(1000 + number)})
        else:
            self.set_task(number, owner if change == "move" else now_owner, at if change == "move" else None)

    @rule(number=st.integers(0, 5), owner=people, minutes=st.integers(0, 200), ago=hours)
    def sit(self, number: int, owner: int, minutes: int, ago: int) -> None:
        """A session, or one that is there takes another length, owner and time."""
        self.set_session(number, owner, minutes, self.ago(ago))

    @rule(who=people, hides=st.booleans(), name=st.sampled_from(["Ann", "Bo"]))
    def change_a_profile(self, who: int, hides: bool, name: str) -> None:
        self.now += dt.timedelta(hours=1)
        self.model.users[who] = (name, hides)
        document = user(who, updatedAt=self.now, hidden=hides) | {"name": name}
        self.database["users"].replace_one({"_id": oid(who)}, document)

    # --- what happens now ------------------------------------------------------------------------------------------

    @rule(which=some, by=st.integers(0, 1), is_session=st.booleans())
    def record(self, which: int, by: int, is_session: bool) -> None:
        recorder, there = self.recorders[by], sorted(self.model.sessions if is_session else self.model.tasks)
        number = there[which % len(there)] if there else None
        if is_session and number is not None:
            name, owner = oid(5000 + number), self.model.sessions[number][0]
            self.recorded(f"focus_session:{name}", owner, lambda: recorder.record_source("sessions", name))
        elif number is not None and None not in self.model.tasks[number]:
            name, (owner, at) = oid(1000 + number), self.model.tasks[number]
            act = partial(recorder.record, "task_complete", oid(owner), name, at=at)
            self.recorded(f"task_complete:{name}", owner, act)

    def recorded(self, name: str, owner: int, record: Callable[[], bool]) -> None:
        """While the flag is on the event is there and its user's entries are right at once; else nothing changes."""
        self.later(10)  # a recorder's knowledge of the flag is out of date
        before = {event["_id"]: event for event in self.app.events()}
        is_on = self.database["feature_flags"].find_one({"_id": "leaderboard", "write": True}) is not None
        is_new = record()
        after = {event["_id"]: event for event in self.app.events()}
        if not is_on or owner in self.model.left | self.leaving:
            assert owner in self.leaving or (not is_new and after == before)
            return
        added = after.keys() - before.keys()
        assert before.keys() | {name} <= after.keys()
        assert {each.partition("#")[0] for each in added} <= {name}
        assert is_new == bool(added)
        theirs = after[name]["userId"]
        expected = summed([event for event in after.values() if event["userId"] == theirs])
        assert self.entries(userId=theirs) == expected

    @rule(side=st.sampled_from(["write", "read"]), on=st.booleans())
    def turn_the_flag(self, side: feature_flag.Side, on: bool) -> None:
        """The operator's `flag write`, and an incident's `flag read off`."""
        if self.ready and (side == "write" or not on):
            feature_flag.turn(self.database, SETTINGS, side, on, self.now)
            self.flag[side] = on

    # --- runs ------------------------------------------------------------------------------------------------------

    def take(self, verb: str) -> Runner:
        """A runner that holds the lease; another one's has run out."""
        if self.runner is not None:
            self.later(TTL + 1)
        state = State(self.database)
        lease = Lease(state, HERE, lambda: NEW_YEAR + dt.timedelta(seconds=self.seconds), TTL, 0, lambda: self.seconds)
        lease.take()
        return Runner(self.database, SETTINGS, clock=self.tick, own=state, lease=lease, verb=verb)

    def start(self, choice: int, who: int) -> None:
        verbs = VERBS if self.ready else VERBS[:2]
        verb = verbs[choice % len(verbs)]
        runner = self.take(f"{verb}:{who}" if verb in ("one", "forget") else verb)
        stop = Stop(monotonic=lambda: self.seconds, sleep=self.later)
        scope = {"full": Scope(full=True), "one": Scope(user=str(oid(who)))}.get(verb, Scope())
        context = runner.context(stop=stop, keep_data=verb == "keep", scope=scope)
        if verb == "forget":
            self.leaving.add(who)
            runner.pieces = forget.pieces(context, str(oid(who)))
        else:
            works = {"prepare": prepare, "fall": fall, "keep": fall, "reconcile": reconcile.pieces}
            runner.pieces = works.get(verb, s4_backfill.apply)(context)
        if verb in TURNING:
            self.turning, self.falling, self.ready = True, verb == "fall", self.ready and verb == "prepare"
        self.owed.add(runner.verb)
        self.runner = runner

    def advance(self, number: int) -> None:
        if self.runner.go_on(number):
            self.runner.lease.release()
            self.ended(self.runner.verb)
            self.runner = None

    def ended(self, verb: str) -> None:
        """A run of a verb makes up for all of it that was left undone; nothing is left to do after a rollback."""
        kind, _, who = verb.partition(":")
        self.owed.discard(verb)
        if kind in ("fill", "full"):
            self.owed = {each for each in self.owed if each.startswith(("reconcile", "forget"))}
        if kind in TURNING:
            self.ready, self.turning = kind == "prepare", False
            self.flag = {"write": kind == "prepare", "read": self.flag["read"] and kind == "prepare"}
        if kind == "forget":
            self.leaving.discard(int(who))
            self.model.left.add(int(who))
        if kind == "fall":
            self.falling, self.ledger = False, {}
            self.owed = {"fill", *(each for each in self.owed if each.startswith("forget"))}
            assert self.app.events() == []
            assert self.app.entries() == {}
            assert self.app.chunks() == []

    @precondition(lambda self: self.runner is None)
    @rule(choice=some, who=people, number=number_of_pieces)
    def begin(self, choice: int, who: int, number: int) -> None:
        self.start(choice, who)
        self.advance(number)

    @precondition(lambda self: self.runner is not None)
    @rule(number=number_of_pieces)
    def go_on(self, number: int) -> None:
        self.advance(number)

    @precondition(lambda self: self.runner is not None)
    @rule(is_saved=st.booleans())
    def kill(self, is_saved: bool) -> None:
        """The run is dead, at worst after a piece that nobody remembers; its lease runs out."""
        if not is_saved:
            next(self.runner.pieces, None)
        self.runner.pieces.close()
        self.runner = None
        self.later(TTL + 1)

    @precondition(lambda self: self.runner is not None)
    @rule(choice=some, who=people, number=number_of_pieces)
    def overtake(self, choice: int, who: int, number: int) -> None:
        """A run sleeps for longer than its lease, and another one takes its place."""
        self.asleep.append(self.runner)
        self.start(choice, who)
        self.advance(number)

    @precondition(lambda self: self.asleep)
    @rule(number=number_of_pieces, heedful=st.booleans())
    def wake(self, number: int, heedful: bool) -> None:
        """The sleeper goes on: it looks at its clock, or its clock has slept too and only the fence stops it."""
        runner = self.asleep.pop()
        if runner.verb != "fall":  # the flag, indexes and empty collections, which that takes away, have no fence
            self.owed.add(runner.verb)
            with suppress(LeaseLost):
                has_ended = runner.go_on(number, heedful)
                assert has_ended or not heedful
        runner.pieces.close()
        self.flag = self.found_flag() if runner.verb in TURNING else self.flag

    # --- what always holds -----------------------------------------------------------------------------------------

    def entries(self, **which: Any) -> dict[str, Entry]:
        found = self.database["leaderboard_entries"].find(which)
        return {
            e["_id"]: (e["score"], e["events"], e.get("counted", e["events"]), e["lastEventAt"], e["streak"])
            for e in found
        }

    @invariant()
    def nothing_is_wrong(self) -> None:
        events = self.app.events()
        self.the_ledger_only_grows(events)
        an_action_counts_once(events)
        self.every_chunk_accounts_for_what_it_read(events)
        self.who_has_left_is_nowhere(events)
        self.who_hides_is_not_shown()
        assert self.turning or self.found_flag() == self.flag
        assert self.owed or self.entries() == summed(events)

    def the_ledger_only_grows(self, events: list[Document]) -> None:
        """But for a rollback; and nothing but a user's leaving changes an event."""
        now = {event["_id"]: event for event in events}
        gone = {oid(number) for number in self.model.left | self.leaving}
        if not self.falling:
            assert self.ledger.keys() <= now.keys()
        for name in self.ledger.keys() & now.keys():
            was = self.ledger[name]
            assert now[name] == was or (was["userId"] in gone and untold(now[name]) == untold(was))
        self.ledger = now

    def every_chunk_accounts_for_what_it_read(self, events: list[Document]) -> None:
        emitted = 0
        for chunk in self.app.chunks(status={"$in": ["emitted", "rolled"]}):
            counts = chunk["counts"]
            if chunk["source"].endswith(":reconcile"):
                assert counts["adjusted"] <= counts["read"]
                continue
            became = counts["emitted"] + counts["duplicates"] + counts["rejected"] + counts["skipped"]
            assert counts["read"] == became
            emitted += counts["emitted"]
        if not self.falling:  # what a killed run had emitted, the next one counts as duplicates
            assert emitted <= sum(first_of_backfill(event["meta"]) for event in events)

    def who_has_left_is_nowhere(self, events: list[Document]) -> None:
        gone = {oid(number) for number in self.model.left}
        assert not gone & {event["userId"] for event in events}
        assert not gone & {entry["userId"] for entry in self.app.entries().values()}

    def who_hides_is_not_shown(self) -> None:
        hidden = {oid(number) for number, (_, hides) in self.model.users.items() if hides}
        assert not hidden & {place.original for place in self.board.top()}

    def found_flag(self) -> dict[str, bool]:
        found = self.database["feature_flags"].find_one({"_id": "leaderboard"}) or {}
        return {side: found.get(side, False) for side in ("write", "read")}

    # --- what holds in the end -------------------------------------------------------------------------------------

    @staticmethod
    def up(runner: Runner, steps: Sequence[Step] = STEPS, **chosen: Any) -> None:
        runner.apply(steps, **chosen)

    @staticmethod
    def fill(runner: Runner, **chosen: Any) -> None:
        runner.backfill(**chosen)

    @contextmanager
    def run(self) -> Iterator[Runner]:
        """A run from end to end in the place of whatever was under way."""
        runner = self.take("")
        if self.runner is not None:
            self.asleep.append(self.runner)
            self.runner = None
        try:
            yield runner
        finally:
            runner.lease.release()

    @precondition(lambda self: self.ready)
    @rule(full=st.booleans())
    def catch_up(self, full: bool) -> None:
        """After a backfill and a reconciliation the board says what the app's documents say.

        One that was begun before must end first: it goes on where it stopped, and looks at nothing twice.
        """
        times = 2 if self.owed else 1
        for number in sorted(self.leaving):
            self.make(lambda context, number=number: forget.pieces(context, str(oid(number))))
            self.ended(f"forget:{number}")
        for _ in range(times):
            with self.run() as runner:
                self.fill(runner, scope=Scope(full=full))
        for _ in range(times):
            self.make(reconcile.pieces)
        self.owed.clear()
        self.check()

    def make(self, pieces: Callable[[Context], Iterator[Piece]]) -> None:
        with self.run() as runner:
            runner.pieces = pieces(runner.context())
            assert runner.go_on(1_000)

    def check(self) -> None:
        actions = self.model.actions()
        assert oracle.shown(self.database) == oracle.board(actions)
        assert self.entries() == summed(self.app.events())
        rejected = {f"tasks:{oid(1000 + n)}" for n, (owner, at) in self.model.tasks.items() if at and owner is None}
        assert rejected <= {row["_id"] for row in self.database["lbmigrate_rejects"].find()}
        for entry in self.app.entries().values():
            number = int(str(entry["userId"]), 16)
            name, hides = self.model.users.get(number, (None, False))
            assert (entry["displayNameSnapshot"], entry["optOutSnapshot"]) == (name, hides)

    def teardown(self) -> None:
        with self.run() as runner:
            self.up(runner, STEPS[:4])
        self.ready, self.falling = True, False
        self.catch_up(full=False)
        if self.app.events():  # an empty ledger beside documents in scope is refused
            with self.run() as runner:
                self.up(runner, verify=VerifyOptions(full=True))
        self.database.client.drop_database(self.database.name)


def an_action_counts_once(events: list[Document]) -> None:
    stands: Counter[str] = Counter()
    for event in events:
        stands[f"{event['actionType']}:{event['sourceId']}"] += stand(event)
    assert set(stands.values()) <= {0, 1}


def first_of_backfill(meta: Document) -> bool:
    return meta["origin"] == "backfill" and "reason" not in meta


def untold(event: Document) -> Document:
    """An event without what a user's leaving changes."""
    meta = {key: value for key, value in event["meta"].items() if key != "forgotten"}
    return {**event, "userId": None, "meta": meta}


@pytest.fixture
def new_database(request: pytest.FixtureRequest) -> Callable[[], Any]:
    if os.environ.get("LBMIGRATE_STATEFUL") == "mongod":
        client = request.getfixturevalue("client")
        return lambda: client[f"test_{uuid.uuid4().hex[:12]}"]
    return lambda: fake.client()["app"]


@pytest.mark.timeout(1_800)  # when it fails, making the example small takes minutes
def test_whatever_happens_in_any_order_the_board_is_what_the_documents_say(new_database, monkeypatch):
    monkeypatch.setattr(workers, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(workers, "wait", wait)
    monkeypatch.setattr(Leaderboard, "new_database", staticmethod(new_database), raising=False)
    examples = settings.default.max_examples // 4  # each is long
    run_state_machine_as_test(Leaderboard, settings=settings(max_examples=examples, stateful_step_count=40))
