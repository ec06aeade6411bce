"""What an operator sees, to the letter. Streams are in memory, terminals are pretended, clocks are handed in."""

from __future__ import annotations

import datetime as dt
import io
import json
import unicodedata
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from bson import Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lbmigrate.board.board import Place
from lbmigrate.checks.finding import Finding
from lbmigrate.console import Console, progress
from lbmigrate.console import format as words
from lbmigrate.console.format import summary
from lbmigrate.errors import ConfigError, LbmigrateError, Mismatch, Problem
from lbmigrate.feature_flag import Switches
from lbmigrate.migration.pace import Line, Stage
from lbmigrate.migration.plan import Plan, SourceOutlook
from lbmigrate.migration.standing import StepOutlook
from lbmigrate.migration.status import SourceStatus, Status
from lbmigrate.records import (
    Compared,
    Copied,
    Counts,
    Forgotten,
    Piece,
    Reconciled,
    Recounted,
    Report,
    Tally,
    Way,
    Work,
)
from lbmigrate.state.statuses import RunStatus
from lbmigrate.telling.foreign import ESCAPES, plain

AT = dt.datetime(2026, 11, 23, 2, 0, 0, 123_000)
ADA = ObjectId("0" * 23 + "1")
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
EVIL = "\x1b[31m[red]x\x1b[0m\x1b]0;title\x07\u202e\r\n\x9b2J"


class Clock:
    """Seconds that pass only when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Seen:
    """A console and what came out of it."""

    def __init__(self, terminal: bool = False, **options: Any) -> None:
        self.clock = Clock()
        stream = Terminal if terminal else io.StringIO
        self.stdout, self.stderr = stream(), stream()
        self.console = Console(stdout=self.stdout, stderr=self.stderr, clock=self.clock, **options)

    @property
    def out(self) -> str:
        return self.stdout.getvalue()

    @property
    def err(self) -> str:
        return self.stderr.getvalue()

    @property
    def lines(self) -> list[str]:
        """What stands on stdout, without colours."""
        return [ESCAPES.sub("", line).rstrip() for line in self.out.splitlines()]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Seen(terminal=True)


def piece(step: int, name: str, *arguments: Any, **more: Any) -> Report:
    return Report("piece", Work(name, step), piece=Piece(*arguments, **more))


def follow(console: Console, reports: Iterable[Report]) -> None:
    """Show reports as they come."""
    with console.listening() as listen:
        for report in reports:
            listen(report)


def migration(clock: Clock) -> Iterator[Report]:
    """A step that says what it did, a backfill of two sources and entries, a verification."""
    yield Report("begin", Work("create-collections", 1))
    clock.now += 0.1
    yield piece(1, "create-collections", "collections", 1, 1, unit="collections", note="created score_events")
    yield Report("end", Work("create-collections", 1))
    yield Report("begin", Work("backfill", 4))
    yield piece(4, "backfill", "tasks", note="tasks: tasks.updatedAt has no index; walking every document by _id")
    for done in (10_000, 20_000, 30_000):
        clock.now += 2
        yield piece(4, "backfill", "tasks", done, 30_000, counts=Counts(10_000, 9_000, 900, 100))
    for done in (500, 1_000):
        clock.now += 6
        counts = Counts(500, 400, skipped=100, approximate=7)
        yield piece(4, "backfill", "sessions", done, 1_000, estimated=True, counts=counts)
    clock.now += 0.5
    yield piece(4, "backfill", "entries", 50, None, unit="users")
    yield piece(4, "backfill", "entries", unit="users")
    yield Report("end", Work("backfill", 4))
    yield Report("begin", Work("verify", 5))
    clock.now += 0.4
    yield piece(5, "verify", "verify", 50, 50, unit="users")
    yield piece(5, "verify", "verify", 50, 50, unit="users", note="100 entries of 50 users agree")
    yield piece(5, "verify", "verify", warning="1 user is new")
    yield Report("end", Work("verify", 5))


def board() -> list[Place]:
    names = ("Ada Lovelace", "山田太郎", None, EVIL)
    return [Place(rank, ObjectId(f"{rank:024x}"), name, None, 12_000 // rank, rank - 1, 100 * rank)
            for rank, name in enumerate(names, start=1)]  # fmt: skip


# --- a run, without a terminal -------------------------------------------------------------------------------------


def test_without_a_terminal_a_run_is_told_in_plain_lines() -> None:
    seen = Seen()
    follow(seen.console, migration(seen.clock))
    assert seen.err.splitlines() == [
        "  · created score_events",
        "✓ 1 create-collections       0.1 s",
        "  · tasks: tasks.updatedAt has no index; walking every document by _id",
        "  tasks           30,000 / 30,000 documents  100 %  5,000/s",
        "  tasks                      6.0 s   30,000 documents · 5,000/s",
        "  sessions          500 / ~1,000 documents  50 %  83/s  0:06 left",
        "  sessions        1,000 / ~1,000 documents  100 %  83/s",
        "  sessions                  12.0 s   1,000 documents · 83/s",
        "  entries                    0.5 s   50 users · 100/s",
        "✓ 4 backfill                18.5 s   31,000 read · 27,800 emitted · 2,700 duplicates · 300 rejected"
        " · 200 skipped · 14 approximate",
        "  · 100 entries of 50 users agree",
        "! 1 user is new",
        "✓ 5 verify                   0.4 s",
    ]
    assert seen.out == ""


@pytest.mark.parametrize(
    ("work", "counts", "line"),
    [
        (
            Work("reconcile"),
            Reconciled(245, 3),
            "✓ reconcile                  0.0 s   490 sources read · 484 agree · 6 adjusted",
        ),
        (
            Work("recount"),
            Recounted(7, 2, 20, 3, 1),
            "✓ recount                    0.0 s"
            "   14 ranges counted · 4 differ · 40 documents read · 6 emitted · 2 rejected",
        ),
        (Work("recount"), Recounted(7), "✓ recount                    0.0 s   14 ranges counted · 0 differ"),
        (
            Work("forget"),
            Forgotten(2, 9),
            "✓ forget                     0.0 s   4 entries removed · 18 events under a tombstone",
        ),
        (Work("verify", 5), Compared(50, 200), "✓ 5 verify                   0.0 s   100 users · 400 entries compared"),
        (Work("backup"), Copied(700), "✓ backup                     0.0 s   1,400 documents"),
        (Work("flag read off"), None, "✓ flag read off              0.0 s"),
    ],
)
def test_each_kind_of_work_has_a_title_and_counters_of_its_own(work: Work, counts: Tally | None, line: str) -> None:
    seen = Seen()
    pieces = [Report("piece", work, piece=Piece("it", counts=counts)) for _ in range(2)]
    follow(seen.console, [Report("begin", work), *pieces, Report("end", work)])
    assert seen.err.splitlines() == [line]


def test_quiet_leaves_results_warnings_and_errors() -> None:
    seen = Seen(quiet=True)
    seen.console.header("local:.lbmigrate", "app")
    seen.console.note("loaded")
    follow(seen.console, migration(seen.clock))
    seen.console.error(LbmigrateError("it failed"))
    seen.console.table("", ["name"], [["x"]])
    assert seen.err == "! 1 user is new\nlbmigrate: it failed\n"
    assert seen.out == "name\nx\n"


def test_a_walk_down_says_reverted() -> None:
    seen = Seen()
    down = [
        Report("begin", Work("backfill", 4), Way.REVERT),
        Report("piece", Work("backfill", 4), Way.REVERT, Piece("score_events", 5_000, None)),
        Report("piece", Work("backfill", 4), Way.REVERT, Piece("score_events", 7, 7, note="removed 7 documents")),
        Report("end", Work("backfill", 4), Way.REVERT),
    ]
    follow(seen.console, down)
    assert seen.err == "  · removed 7 documents\n✓ 4 backfill           reverted       0.0 s\n"


def test_a_run_that_ends_early_shows_how_far_it_came() -> None:
    seen = Seen()
    follow(seen.console, [Report("begin", Work("backfill", 4)), piece(4, "", "tasks", 5, 10, counts=Counts(5, 5))])
    assert seen.err.splitlines()[-1].startswith("· 4 backfill           stopped")
    assert "5 read · 5 emitted" in seen.err


# --- a run, at a terminal ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Mismatch("differs"), KeyboardInterrupt(), ValueError("broken")])
def test_the_display_closes_when_a_run_raises_and_the_error_goes_on(narrow: Seen, error: BaseException) -> None:
    def broken() -> Iterator[Report]:
        yield Report("begin", Work("backfill", 4))
        yield piece(4, "backfill", "tasks", 5, 10)
        raise error

    with pytest.raises(type(error)) as raised:
        follow(narrow.console, broken())
    assert raised.value is error
    assert "stopped" in narrow.err
    assert narrow.err.rfind(SHOW_CURSOR) > narrow.err.rfind(HIDE_CURSOR) >= 0


def test_a_terminal_keeps_the_lines_of_what_ended(narrow: Seen) -> None:
    follow(narrow.console, migration(narrow.clock))
    text = ESCAPES.sub("", narrow.err)
    assert "  tasks                      6.0 s   30,000 documents · 5,000/s\n" in text
    assert "✓ 4 backfill                18.5 s\n" in text  # at 80 columns the counts go below
    assert "31,000 read · 27,800 emitted · 2,700 duplicates · 300 rejected · 200" in text


def test_a_bar_takes_what_its_figures_leave() -> None:
    line = Line("tasks", 0.0, done=45_000, total=91_824, estimated=True, worked=45_000, active=3.6)
    bars = [progress.bar(line, width).plain for width in (60, 80, 120)]
    figures = "49 %  45,000 / ~91,824   12,500/s  0:04 left"
    roomy = figures.replace("91,824", "91,824 documents")
    assert bars == [
        "  tasks            49 %  45,000 / ~91,824  0:04 left",
        f"  tasks           {'━' * 6}{'─' * 8}   {figures}",
        f"  tasks           {'━' * 19}{'─' * 21}   {roomy}",
    ]


def test_an_unknown_total_has_no_bar_and_no_percentage() -> None:
    line = Line("entries", 0.0, "users", done=400, worked=400, active=1.0)
    assert progress.bar(line, 80).plain.split() == ["entries", "400", "400/s"]


@given(
    done=st.integers(1, 10**7 - 1), total=st.none() | st.integers(0, 10**7 - 1), rate=st.integers(100, 99_999),
    width=st.integers(80, 200),
)  # fmt: skip
def test_a_bar_leaves_the_last_column_free(done: int, total: int | None, rate: int, width: int) -> None:
    line = Line("tasks", 0.0, "documents", done, total, True, worked=done, active=done / rate)
    assert cell_len(progress.bar(line, width).plain) < width


# --- pace ----------------------------------------------------------------------------------------------------------


@given(done=st.integers(0, 10**12), total=st.none() | st.integers(0, 10**12), seconds=st.floats(1e-3, 1e6))
def test_a_percentage_never_passes_100_and_no_time_left_is_told_below_1_percent(
    done: int, total: int | None, seconds: float
) -> None:
    line = Line("tasks", 0.0)
    line.advance(Piece("tasks", done, total), seconds)
    assert line.percent is None if total is None else line.percent in range(101)
    if total is None or done * 100 < total or done >= total:
        assert line.seconds_left is None
    elif done:
        assert line.seconds_left == pytest.approx((total - done) * seconds / done)


def test_a_rate_is_of_active_time_only() -> None:
    stage = Stage("4 backfill", begun=0.0, seen=0.0)
    stage.take(Piece("tasks", 100, 200, counts=Counts(read=100)), now=10.0)
    stage.take(Piece("tasks", note="opened"), now=500.0)
    line = stage.take(Piece("tasks", 200, 200, counts=Counts(read=100)), now=510.0)
    other = stage.take(Piece("sessions", 50, 100), now=515.0)
    assert line is not None
    assert other is not None
    assert (line.rate, other.rate) == (10.0, 10.0)


def test_what_an_earlier_run_had_done_is_done_but_not_fast() -> None:
    line = Line("tasks", 0.0)
    line.advance(Piece("tasks", 90_100, 100_000, counts=Counts(read=100)), 10.0)
    assert (line.percent, line.rate, line.seconds_left) == (90, 10.0, 990.0)


def test_a_total_of_nothing_is_complete() -> None:
    line = Line("tasks", 0.0, total=0)
    assert (line.percent, line.rate, line.seconds_left) == (100, None, None)


# --- JSON ----------------------------------------------------------------------------------------------------------


def test_json_is_one_compact_object_and_nothing_else_on_stdout() -> None:
    seen = Seen(as_json=True)
    seen.console.board("global", board())
    seen.console.table("Runs", ["a"], [[1]])
    seen.console.text("yaml: true")
    ident = uuid.UUID(int=7)
    seen.console.result(
        {
            "at": AT,
            "zoned": dt.datetime(2026, 11, 23, 3, tzinfo=dt.timezone(dt.timedelta(hours=1))),
            "user": ADA,
            "uuid": ident,
            "counts": Counts(1, 2),
            "points": Int64(5),
            "nan": float("nan"),
            "rows": ({"ok": True, "none": None}, {3}),
            "name": "山\x1b",
        }
    )
    assert seen.out == (
        '{"at":"2026-11-23T02:00:00Z","zoned":"2026-11-23T02:00:00Z","user":"000000000000000000000001",'
        '"uuid":"00000000-0000-0000-0000-000000000007",'
        '"counts":{"read":1,"emitted":2,"duplicates":0,"rejected":0,"skipped":0,"approximate":0,"future":0,"adjusted":0},'
        '"points":5,"nan":null,"rows":[{"ok":true,"none":null},[3]],"name":"\\u5c71\\u001b"}\n'
    )
    assert seen.err == ""


def test_without_json_a_result_says_nothing() -> None:
    seen = Seen()
    seen.console.result({"verb": "top"})
    assert seen.out == ""


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_whatever_a_record_holds_its_json_is_one_line_that_can_be_read(value: Any) -> None:
    seen = Seen(as_json=True)
    seen.console.result({"value": value})
    assert seen.out.count("\n") == 1
    assert json.loads(seen.out)["value"] == words.jsonable(value)


# --- errors and sentences ------------------------------------------------------------------------------------------


def test_an_error_names_its_subject_and_the_next_command() -> None:
    seen = Seen(as_json=True, quiet=True)
    seen.console.error(Mismatch("found 2 mismatches:", "lbmigrate verify --full", ["user 1", "user 2\nnext: rm"]))
    assert seen.err == "lbmigrate: found 2 mismatches:\n  user 1\n  user 2 next: rm\nnext: lbmigrate verify --full\n"
    assert seen.out == ""


def test_every_problem_of_a_configuration_is_told_with_its_place() -> None:
    seen = Seen()
    problems = [Problem("sources[0].at", "is missing", 12), Problem("timezone", "is no zone"), Problem("", "is empty")]
    seen.console.error(ConfigError("C:/lb: x.yaml: 3 problems", problems, hint="lbmigrate config check"))
    assert seen.err.splitlines() == [
        "lbmigrate: C:/lb: x.yaml: 3 problems",
        "  C:/lb: x.yaml:12  sources[0].at: is missing",
        "  C:/lb: x.yaml  timezone: is no zone",
        "  C:/lb: x.yaml  is empty",
        "next: lbmigrate config check",
    ]


def test_the_header_names_the_server_and_the_database_on_stderr() -> None:
    seen = Seen()
    seen.console.header("mongodb://***@db.example", "app", "fixtures from tests")
    assert seen.err == "server mongodb://***@db.example  database app  fixtures from tests\n"
    assert seen.out == ""


def test_text_comes_out_as_it_is() -> None:
    seen = Seen()
    seen.console.text("a: [red]b[/red]  \n:smile: " + "x" * 300)
    assert seen.out == "a: [red]b[/red]  \n:smile: " + "x" * 300 + "\n"


# --- foreign text --------------------------------------------------------------------------------------------------


@given(st.text())
def test_foreign_text_does_nothing_to_a_terminal(text: str) -> None:
    shown = plain(text)
    assert all(unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in shown)
    assert plain(shown) == shown


def test_a_name_with_markup_and_escape_codes_is_shown_as_letters(narrow: Seen) -> None:
    seen = Seen()
    seen.console.board("global", board())
    assert seen.out.splitlines()[-1].split() == ["4", "[red]x", "3,000", "3", "d", "400", f"{4:024x}"]
    narrow.console.board("global", board())
    assert "\x1b]0" not in narrow.out
    assert "[red]x" in narrow.out


def test_an_ascii_stream_gets_the_nearest_signs_and_numbers_for_foreign_letters() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    console = Console(stdout=stream, stderr=stream)
    console.note("a · b")
    console.verdict({"passed": True, "entries": 1, "users": 1, "at": AT})
    console.table("", ["name"], [["é"]])
    stream.flush()
    assert raw.getvalue().decode("ascii").splitlines() == [
        "- a - b",
        "+ 1 entry of 1 user agrees with the ledger  2026-11-23T02:00:00Z",
        "name",
        "\\xe9",
    ]


# --- tables --------------------------------------------------------------------------------------------------------


def test_the_board_without_a_terminal_has_no_bars_and_no_colours() -> None:
    seen = Seen()
    seen.console.board("2025-W44", board()[:3], highlight=str(ADA))
    assert seen.out.splitlines() == [
        "Leaderboard · 2025-W44",
        "  rank  name           score  streak  events  user",
        "   › 1  Ada Lovelace  12,000       –     100  000000000000000000000001",
        "     2  山田太郎       6,000     1 d     200  000000000000000000000002",
        "     3  (no name)      4,000     2 d     300  000000000000000000000003",
    ]


def test_the_board_at_80_columns_fits_and_draws_the_best_score_longest(narrow: Seen) -> None:
    long = [Place(1, 1, "n" * 90, None, 10**9, 365, 10**6), *board()]
    narrow.console.board("global", long, highlight=ADA)
    assert all(cell_len(line) <= 80 for line in narrow.lines)
    bars = [line.count("━") for line in narrow.lines]
    assert max(bars) == bars[4]
    assert sum(map(bool, bars)) == 5


def test_an_empty_board_says_so() -> None:
    seen = Seen()
    seen.console.board("2031", [])
    assert seen.out == "Leaderboard · 2031\nnobody is on it yet\n"


def test_scores_of_nothing_and_below_have_no_bar(narrow: Seen) -> None:
    narrow.console.board("global", [Place(1, 1, "a", None, 0, 0, 0), Place(2, 2, "b", None, -5, 0, 1)])
    assert "━" not in narrow.out


def steps(*todo: str, backfill: str = "new") -> tuple[StepOutlook, ...]:
    return (StepOutlook(1, "create-collections", "applied", AT, ()), StepOutlook(4, "backfill", backfill, None, todo))


def test_a_plan_shows_steps_sources_and_findings() -> None:
    seen = Seen()
    sources = (SourceOutlook("tasks", "tasks", 91_824, True, 10, "everything", None),)
    findings = (Finding("warning", "tasks", "has no index", "create one"), Finding("ok", "users", "fine"))
    seen.console.plan(Plan(steps("backfill tasks", "roll up"), sources, findings))
    assert seen.out.splitlines() == [
        "Steps",
        "step                  state    to do",
        "1 create-collections  applied  nothing",
        "4 backfill            new      backfill tasks",
        "                               roll up",
        "",
        "Sources",
        "source  collection  documents  chunks  to read",
        "tasks   tasks         ~91,824      10  everything",
        "",
        "!  tasks  has no index",
        "          → create one",
        "✓  users  fine",
    ]


def test_a_status_shows_how_far_everything_is() -> None:
    seen = Seen()
    looks = {"backfill": AT - dt.timedelta(days=9), "recount": AT - dt.timedelta(hours=50)}
    source = SourceStatus("tasks", AT, 2, False, {"rolled": 8, "claimed": 2}, {"read": 9_000, "emitted": 8_000}, looks)
    lock = {"holder": {"pid": 7, "host": "web1"}, "expiresAt": AT}
    run = {"verb": "run", "outcome": "running", "startedAt": AT, "by": "ada@web1"}
    seen.console.status(Status(steps(backfill="applied"), (source,), 8_000, 400, {}, lock, {}, {}, run, AT))
    assert seen.out.splitlines() == [
        "Steps",
        "step                  state    finished",
        "1 create-collections  applied  2026-11-23T02:00:00Z",
        "4 backfill            applied  –",
        "",
        "Sources",
        "source   chunks   read  done  emitted  rejected  watermark",
        "tasks   8 of 10  9,000     –    8,000         0  2026-11-23T02:00:00Z",
        "",
        "events      8,000",
        "entries     400",
        "whole look  2 d ago, 2026-11-21T00:00:00Z (tasks)",
        "reconciled  never (tasks)",
        "verdict     nothing was verified yet",
        "lock        pid 7 on web1, until 2026-11-23T02:00:00Z",
        "last run    run running at 2026-11-23T02:00:00Z, by ada@web1",
    ]


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ({}, "never (tasks); next: lbmigrate recount"),
        ({"reconcile": AT}, "never (tasks); next: lbmigrate recount"),
        (
            {"backfill": AT - dt.timedelta(days=9)},
            "9 d ago, 2026-11-14T02:00:00Z (tasks); next: lbmigrate recount",
        ),
        ({"backfill": AT - dt.timedelta(days=8)}, "8 d ago, 2026-11-15T02:00:00Z (tasks)"),
        ({"recount": AT + dt.timedelta(seconds=3)}, "0 s ago, 2026-11-23T02:00:03Z (tasks)"),
    ],
)
def test_a_status_says_how_old_the_last_whole_look_is_of_the_source_that_waits_longest(
    looks: dict[str, dt.datetime], told: str
) -> None:
    seen = Seen()
    sources = tuple(SourceStatus(name, AT, 1, True, {}, {}, found) for name, found in
                    (("sessions", {"recount": AT + dt.timedelta(days=1)}), ("tasks", looks)))  # fmt: skip
    seen.console.status(Status(steps(backfill="applied"), sources, 0, 0, {}, {}, {}, {}, {}, AT))
    assert f"whole look  {told}" in seen.out.splitlines()


def test_an_untouched_database_has_a_status_too() -> None:
    seen = Seen()
    seen.console.status(Status(steps(), (), 0, 0, {}, {}, {}, {}, {}, AT))
    assert seen.out.splitlines()[-4:] == [
        "events   0",
        "entries  0",
        "verdict  nothing was verified yet",
        "lock     free",
    ]


def test_a_history_tells_below_the_runs_what_went_wrong() -> None:
    seen = Seen()
    ended = AT + dt.timedelta(seconds=200)
    failed = {"outcome": "mismatch", "error": "found 1:\n  user 1", "endedAt": ended}
    did = {"documents": 1_000, "events": 900, "entries": 50, "rejects": 100, "active": 2.0}
    rows = [{"_id": "run:1", "verb": "verify", "startedAt": AT, "by": "ada@web1", **failed},
            {"_id": "run:2", "verb": "run", "startedAt": AT, "by": "ada@web1", "outcome": "running",
             "progress": did}]  # fmt: skip
    seen.console.history(rows)
    assert seen.out.splitlines() == [
        "Runs",
        "started               verb    outcome         took  documents  events  entries  rejects   rate  by        run",
        "2026-11-23T02:00:00Z  verify  mismatch  3 min 20 s          –       –        –        –      –  ada@web1  1",
        "2026-11-23T02:00:00Z  run     running            –      1,000     900       50      100  500/s  ada@web1  2",
        "",
        "What went wrong",
        "started               error",
        "2026-11-23T02:00:00Z  found 1: user 1",
    ]


def test_the_flag_shows_both_sides_and_who_set_it() -> None:
    seen = Seen()
    seen.console.flag(Switches(write=True), {"updatedAt": AT, "updatedBy": "ada@web1"})
    assert seen.out == "write   on\nread    off\nset at  2026-11-23T02:00:00Z\nby      ada@web1\n"


def test_a_verdict_shows_the_first_mismatches_and_how_many_more_there_are() -> None:
    seen = Seen()
    seen.console.verdict({"passed": False, "entries": 4_800, "users": 400, "at": AT, "mismatches": 3, "first": ["u 1"]})
    assert seen.out == (
        "✗ 4,800 entries of 400 users compared, 3 mismatches  2026-11-23T02:00:00Z\n\nu 1\nand 2 more\n"
    )


def test_nothing_found_is_nothing_to_fix() -> None:
    seen = Seen()
    seen.console.findings([])
    assert seen.out == "✓ nothing to fix\n"


def test_any_table_has_its_numbers_on_the_right() -> None:
    seen = Seen()
    seen.console.table("Rejects", ["reason", "count"], [["no date", 1_234], ["no user", None]])
    seen.console.table("Rejects", ["reason"], [])
    seen.console.config_origins([("timezone", "UTC", "default")])
    assert seen.out.splitlines() == [
        "Rejects",
        "reason   count",
        "no date  1,234",
        "no user      –",
        "Rejects  none",
        "key       value  from",
        "timezone  UTC    default",
    ]


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (3_599.6, "1 h 00 min"),
                          (3_900, "1 h 05 min"), (360_000, "100 h 00 min")],
)  # fmt: skip
def test_a_duration_is_told_to_three_digits(seconds: float, told: str) -> None:
    assert words.duration(seconds) == told


@pytest.mark.parametrize(("seconds", "told"), [(0.2, "0:01"), (59.5, "1:00"), (4_324, "1:12:04")])
def test_time_left_is_rounded_up(seconds: float, told: str) -> None:
    assert words.countdown(seconds) == told


STEPS_OF_A_MIGRATION = [
    Work(name, n) for n, name in enumerate(["create-collections", "create-indexes", "dual-write"], 1)
]


@pytest.mark.parametrize(
    ("works", "way", "pieces", "told", "following"),
    [
        (STEPS_OF_A_MIGRATION, Way.APPLY, [Piece("it", note="made")], ": steps 1 to 3 applied", "lbmigrate run"),
        ([Work("cut-over", 6)], Way.APPLY, [Piece("flag", note="on")], ": step 6 applied", "lbmigrate top"),
        (STEPS_OF_A_MIGRATION[::-1], Way.REVERT, [Piece("it", 5, 5)], ": steps 3 to 1 reverted", "lbmigrate plan"),
        ([Work("cut-over", 6)], Way.APPLY, [], ": nothing to do", "lbmigrate top"),
    ],
    ids=str,
)
def test_the_last_sentence_of_a_run_says_which_steps_it_took_and_what_is_next(
    works: list[Work], way: Way, pieces: list[Piece], told: str, following: str
) -> None:
    seen = Seen()
    reports = []
    for work in works:
        given = [Report("piece", work, way, each) for each in pieces]
        reports += [Report("begin", work, way), *given, Report("end", work, way)]
    verb = "run" if way is Way.APPLY else "rollback"
    none = dict.fromkeys(("documents", "events", "entries", "rejects", "active"), 0)
    facts = {**none, "held": {}, "outcome": "done", "seconds": 1.0, "verb": verb, "run": "r1"}
    facts |= {"last_work": str(works[-1]), "command": f"lbmigrate {verb}"}
    follow(seen.console, [*reports, Report("finish", Work(verb), facts=facts)])
    last = " ".join(seen.err.split("·")[-1].split())
    assert last == f"{verb} done in 1.0 s{told} (run r1); next: {following}"


@pytest.mark.parametrize("outcome", sorted(set(RunStatus) - {RunStatus.RUNNING, RunStatus.DONE}))
def test_a_run_that_did_not_come_to_its_end_does_not_say_that_there_was_nothing_to_do(outcome: str) -> None:
    seen = Seen()
    none = dict.fromkeys(("documents", "events", "entries", "rejects", "active"), 0)
    facts = {**none, "held": {}, "outcome": outcome, "seconds": 1.0, "verb": "run", "run": "r1"}
    work = Work("backfill", 4)
    finish = Report("finish", Work("run"), facts=facts | {"last_work": str(work), "command": "lbmigrate run"})
    follow(seen.console, [Report("begin", work), finish])
    assert seen.err.splitlines()[-1] == f"· run {outcome} in 1.0 s  (run r1)"


def test_a_backfill_that_takes_an_action_back_says_how_many() -> None:
    assert summary(Counts(read=46, emitted=46, adjusted=1)).startswith("46 read · 46 emitted · 0 duplicates")
    assert "1 adjusted" in summary(Counts(read=46, emitted=46, adjusted=1))
    assert "adjusted" not in summary(Counts(read=46, emitted=46))
