"""What an operator sees at widths from 60 to 200 columns: ids, names and numbers whole, whatever is left out."""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from bson import ObjectId
from rich.cells import cell_len

from lbmigrate.board.board import Place
from lbmigrate.console import Console, progress
from lbmigrate.estimate import advice, model
from lbmigrate.estimate.calibration import Doubts
from lbmigrate.estimate.estimate import Calibration, Estimate, Range
from lbmigrate.estimate.model import PARTS, Executors, Machine, Part
from lbmigrate.estimate.surroundings import Oplog, Surroundings
from lbmigrate.explain.explanation import Amount, Entry, Event, Explanation, Refused, SourceSays, Standing
from lbmigrate.migration.pace import Line, Stage
from lbmigrate.migration.status import Progress, SourceStatus, Status
from lbmigrate.records import Piece, Report, Work
from lbmigrate.telling.foreign import ESCAPES

AT = dt.datetime(2026, 11, 23, 2, 0, 0)
ADA = ObjectId("68a795ad0d34ae19a4274864")
NAME = "Anna-Katharina von der Marwitz-Schulenburg"
WIDTHS = (60, 80, 120, 200)
BIG = 1_234_567_890


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(draw: Callable[[Console], None], width: int, monkeypatch: pytest.MonkeyPatch, **environ: str) -> list[str]:
    """What stands on a terminal so wide, without colours."""
    for name, value in {"COLUMNS": str(width), "TERM": "xterm-256color", **environ}.items():
        monkeypatch.setenv(name, value)
    stdout = Terminal()
    draw(Console(stdout=stdout, stderr=Terminal()))
    return [ESCAPES.sub("", line).rstrip() for line in stdout.getvalue().splitlines()]


def board(console: Console) -> None:
    console.board("global", [Place(1, ADA, NAME, None, BIG, 365, BIG), Place(12_345, ADA, "Bo", None, 7, 0, 1)])


def status(console: Console) -> None:
    moving = Progress("tasks", BIG // 2, BIG, "documents", False, 49, 12_345.6, 7_200.0)
    counts = {"read": BIG, "emitted": BIG, "rejected": BIG}
    for each in (None, moving):
        source = SourceStatus("tasks", AT, 2, True, {"rolled": 123_456}, counts, {}, progress=each)
        console.status(Status((), (source,), BIG, BIG, {}, {}, {}, {}, {}, AT))


def history(console: Console) -> None:
    did = {"documents": BIG, "events": BIG, "entries": BIG, "rejects": 654_321, "active": 3_600.0}
    run = {"_id": "run:0a1b2c3d", "verb": "rejects retry", "outcome": "work remains", "by": "ada@web1", "startedAt": AT}
    console.history([{**run, "endedAt": AT + dt.timedelta(hours=30), "progress": did}])


def explanation(console: Console) -> None:
    event = Event("e", "task_complete", BIG, AT, "tasks", str(ADA), "backfill", "voided")
    entry = Entry(BIG, BIG, 365, AT, AT, NAME, 12_345)
    sources = (SourceSays("tasks", "tasks", BIG, 7, BIG, BIG, 7, 7),)
    day, refused = (
        Amount("task_complete", 1, BIG, 0, "2026-11-23"),
        Refused("tasks", str(ADA), "durationSec is missing"),
    )
    found = Explanation(
        str(ADA), "global", Standing.SHOWN, entry=entry, events=1, days=(day,), days_total=1, last=(event,)
    )
    console.explanation(replace(found, sources=sources, rejects=(refused,), rejects_total=1))


def origins(console: Console) -> None:
    console.config_origins([("sources[1].let.minutes.between", "minimum(floor(minutes), 120)", "config/lb.yaml:123")])


def adjustments(console: Console) -> None:
    row = (f"task_complete:{ADA}#1", str(ADA), -BIG, "voided", AT)
    console.table("Adjustments", ("adjustment", "user", "points", "reason", "at"), [row], ["at", "user"])


def estimate(console: Console) -> None:
    machine = Machine(busy=1.9)
    parts = tuple(Part(name, 3_600.0 * 30, 3_600.0 * 40, 3_600.0 * 30, "client") for name in PARTS)
    work = model.Work(examined=BIG, documents=BIG, events=BIG, gathered=BIG, users=BIG, entries=BIG)
    around = Surroundings("6.0.5", 8, 1, 3, shared=False, free=BIG, oplog=Oplog(BIG, 24.0))
    seconds, sizes = Range.around(3_600.0 * 90, 0.25), Range.around(BIG * 1_000.0, 0.25)
    found = Estimate(
        seconds, seconds, seconds, sizes, sizes, sizes, 12_345, parts, 3_600.0 * 30, work, Executors(64), "threads",
        Calibration(20_000, 150, 7.9, machine, Doubts(0.1, 0.1, 0.9)), around,
    )  # fmt: skip
    console.estimate(found, advice.findings(found))


SCREENS = (board, status, history, explanation, origins, adjustments, estimate)
WHOLE = {  # what must be there, at every width
    "board": [f"{BIG:,}", "12,345", "Marwitz-Schulenburg"],
    "status": [f"{BIG:,}", "49 %", "2:00:00"],
    "history": ["rejects retry", "30 h 00 min"],
    "explanation": [str(ADA), f"{BIG:,}", "2026-11-23T02:00:00Z", "voided"],
    "origins": ["sources[1].let.minutes.between"],
    "estimate": [f"{BIG:,}", "90 h 00 min", "30 h 00 min", "2 TB", "12,345", "lbmigrate run --workers"],
    "adjustments": [f"task_complete:{ADA}#1", f"-{BIG:,}", "voided"],
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("draw", SCREENS, ids=lambda draw: draw.__name__)
def test_ids_names_and_numbers_are_whole_at_every_width(draw, width, monkeypatch):
    lines = shown(draw, width, monkeypatch)
    text = "\n".join(lines)
    assert "…" not in text
    assert max(map(cell_len, lines)) <= width
    assert [each for each in WHOLE[draw.__name__] if each not in text] == []
    cut = [number for number in re.findall(r"[\d,]{5,}", text) if not re.fullmatch(r"\d+|\d{1,3}(,\d{3})+,?", number)]
    assert cut == []


def test_a_wide_terminal_leaves_nothing_out_and_a_narrow_one_what_can_wait(monkeypatch):
    [wide, narrow] = ["\n".join(shown(history, width, monkeypatch)) for width in (200, 60)]
    assert all(name in wide for name in ("by", "run", "rate", "entries", "0a1b2c3d"))
    assert "0a1b2c3d" not in narrow
    assert "took" in narrow


def test_where_not_even_what_must_be_there_fits_a_row_is_a_block(monkeypatch):
    lines = shown(adjustments, 40, monkeypatch)
    assert [line.split()[0] for line in lines if line.strip() == line != ""][1:] == ["adjustment", "points", "reason"]
    assert f"task_complete:{ADA}" in "".join(line.split()[-1] for line in lines if line)


def test_numbers_stand_below_each_other_on_the_right(monkeypatch):
    lines = shown(board, 80, monkeypatch)
    ends = [re.search(rf"{score}\b", line).end() for line in lines for score in (f"{BIG:,}", " 7") if score in line]
    assert len({*ends[:2]}) == 1


def test_no_color_means_none(monkeypatch):
    stdout = Terminal()
    for name, value in {"NO_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    board(Console(stdout=stdout, stderr=Terminal()))
    assert re.findall(r"\x1b\[[\d;]*3\d[\d;]*m", stdout.getvalue()) == []


# --- a hold ---------------------------------------------------------------------------------------------------------


def test_a_bar_that_is_held_has_no_time_left():
    line = Line("tasks", 0.0, done=45_000, total=91_824, worked=45_000, active=3.6)
    for width in WIDTHS:
        assert "left" in progress.bar(line, width).plain
        assert "left" not in progress.bar(line, width, held=True).plain
        assert cell_len(progress.bar(line, width).plain) < width


def lags(*seconds: int) -> list[Report]:
    holds = [Piece("tasks", 5, 10, held=f"db2 is {each} s behind", hold_kind="replication_lag") for each in seconds]
    work = Work("backfill", 4)
    return [Report("begin", work), *(Report("piece", work, piece=each) for each in [*holds, Piece("tasks", 6, 10)])]


@pytest.mark.parametrize("json_log", [False, True])
def test_a_lag_that_grows_is_one_hold(json_log):
    stderr = io.StringIO()
    console = Console(stdout=io.StringIO(), stderr=stderr, json_log=json_log)
    with console.listening() as listen:
        for report in lags(11, 12, 13):
            listen(report)
    words = ('"event":"held"', '"event":"released"') if json_log else ("held: db2 is 11 s behind", "going on")
    assert [stderr.getvalue().count(each) for each in words] == [1, 1]
    assert "13 s" not in stderr.getvalue()


def test_waiting_for_a_hold_to_end_is_no_active_time():
    stage = Stage("4 backfill", begun=0.0, seen=0.0)
    for now, report in enumerate(lags(11, 12)[1:]):
        stage.take(report.piece, 100.0 * now)
    assert stage.open["tasks"].active == 0.0
