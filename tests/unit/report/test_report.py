"""The report of a verification: it stands alone, says everything in words, and does nothing that its texts ask for."""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from lbmigrate.counter.agreement import Agreement, Differs
from lbmigrate.errors import LbmigrateError, Refused, UsageError
from lbmigrate.report import content, file, html, markdown
from lbmigrate.report.blocks import Pace, Weeks
from lbmigrate.report.content import Surroundings
from lbmigrate.verify.kinds import MEANING, Kind
from lbmigrate.verify.result import Bound, Mismatch, Part, PeriodRow, Verification

AT = dt.datetime(2025, 11, 23, 18, 25)
HOSTILE = "<script>alert(1)</script>\x1b[31m|`x`\u202e\n# [a](javascript:b)"
AROUND = Surroundings("app", "mongodb://db/", "lbmigrate verify --full", "sam@office")
WEEKS = tuple(PeriodRow(f"2025-W{n:02}", 5, 100 * n, 10 * n, 100 * n, 10 * n, 100 * n) for n in range(1, 50))
FULL = Verification(
    level="full",
    passed=True,
    at=AT,
    covers="chunk:tasks:1:0:12",
    rules="a1b2c3d4e5f6",
    seconds=8.4,
    users=52,
    entries=640,
    parts=(Part("entries", 640, 640, 0, "entries", 1.2),),
    periods=(PeriodRow("global", 52, 122500, 12250, 122500, 12250, 122500), *WEEKS),
    pace=tuple((n / 10, n * 1000) for n in range(1, 80)),
)
WRONG = replace(
    FULL,
    passed=False,
    kinds={"score": 120, "snapshot": 1},
    mismatches=(
        Mismatch(Kind.SCORE, "leaderboard_entries", "global:7", 7, "global", "score", 11, 10, "the score is off"),
        Mismatch(Kind.SNAPSHOT, "leaderboard_entries", "global:8", 8, "global", "displayNameSnapshot", HOSTILE, "Ann"),
    ),
    periods=(replace(WEEKS[0], points=99, wrong=1), *WEEKS[1:]),
)
BESIDE = Agreement(
    "users.points", counters=3, both=3, equal=2, lower=1, drawn=3, spearman=0.5, kendall=0.25,
    differ=(Differs("7", HOSTILE, 20.5, 10, "history deleted since"),), told=("most have fewer points",),
)  # fmt: skip


class Page(HTMLParser):
    """What a page is made of: its tags with their attributes, in order, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def named(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


def page(found=FULL, beside=None):
    return Page(html.page(content.report(found, AROUND, beside)))


def text(found=FULL, beside=None):
    return markdown.text(content.report(found, AROUND, beside))


EVERY = pytest.mark.parametrize(("found", "beside"), [(FULL, None), (WRONG, BESIDE)], ids=["passed", "failed"])


@EVERY
def test_a_page_needs_nothing_and_runs_nothing(found, beside):
    written = html.page(content.report(found, AROUND, beside))
    assert not re.search(r"https?://|url\(|@import|<script|<link|<img|\son\w+=", written)
    [policy] = [each["content"] for each in Page(written).named("meta") if "http-equiv" in each]
    assert policy.startswith("default-src 'none'")


@EVERY
def test_a_page_is_well_formed_and_is_said_to_who_does_not_see_it(found, beside):
    made = page(found, beside)
    assert made.open == []
    assert made.named("html") == [{"lang": "en"}]
    assert next(tag for tag, _ in made.tags if tag in ("h1", "h2")) == "h1"
    assert all(each.get("scope") in ("col", "row") for each in made.named("th"))
    names = [each["id"] for _, each in made.tags if "id" in each]
    assert len(names) == len(set(names))
    for each in made.named("svg", "table"):
        assert each["aria-labelledby"].split() == [name for name in each["aria-labelledby"].split() if name in names]
    assert all(each["role"] == "img" for each in made.named("svg"))


@EVERY
def test_a_page_is_small(found, beside):
    assert len(html.page(content.report(found, AROUND, beside))) < 60_000


def test_the_verdict_is_the_first_thing_that_is_said():
    assert page().text.split("Verification of the leaderboard in app")[2].strip().startswith("✓ Passed")
    assert "✗ Failed: 121 mismatches" in page(WRONG).text
    skipped = replace(FULL, passed=False, skipped=("tasks: unreadable",))
    assert "✗ Not passed: not everything could be looked at" in page(skipped).text
    assert "tasks: unreadable" in page(skipped).text


def test_the_bound_is_said_in_words():
    assert "Everything was looked at" in page().text
    words = "0 of 3,000: fewer than 0.10 % wrong, with 95 % confidence"
    sampled = replace(FULL, level="sample", bound=Bound(2_000_000, 3_000, 0, 0.95, 0.001, words))
    assert words in page(sampled).text
    assert words in text(sampled)


def test_mismatches_are_told_by_type_and_one_by_one():
    said = page(WRONG).text
    for word in ("score", "120", MEANING[Kind.SCORE], "global:7", "11", "10", "119 more are not shown"):
        assert word in said


@pytest.mark.parametrize("write", [html.page, markdown.text])
def test_texts_of_others_are_harmless(write):
    written = write(content.report(WRONG, AROUND, BESIDE))
    assert "<script>" not in written
    assert "\x1b" not in written
    assert "\u202e" not in written
    assert not re.search(r"^# \[a\]", written, re.MULTILINE)


def test_markdown_keeps_the_cells_of_a_table_together():
    rows = [line for line in text(WRONG, BESIDE).splitlines() if "alert" in line]
    assert len(rows) == 2
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 7 for row in rows)


def test_the_chart_sets_the_weeks_of_the_entries_against_the_sources():
    [chart] = [block for section in content.report(WRONG, AROUND).sections for block in section.blocks
               if isinstance(block, Weeks)]  # fmt: skip
    assert chart.labels == tuple(week.period for week in WEEKS)
    assert (chart.bars[0], chart.line[0], chart.wrong) == (99, 100, frozenset({0}))
    assert "differ in 2025-W01" in chart.told


def test_sources_that_are_ahead_of_a_board_that_passed_are_no_alarm():
    ahead = (*WEEKS[:-1], replace(WEEKS[-1], source_points=5_000))
    [chart] = [block for section in content.report(replace(FULL, periods=ahead), AROUND).sections
               for block in section.blocks if isinstance(block, Weeks)]  # fmt: skip
    assert chart.wrong == frozenset()
    assert "differ in 2025-W49. None of that is a mismatch" in chart.told


def test_where_the_sources_were_not_read_the_chart_has_the_ledger_and_says_so():
    periods = tuple(replace(week, source_points=None) for week in WEEKS)
    said = page(replace(FULL, periods=periods)).text
    assert "events of the ledger (not all sources were read)" in said
    assert "points of sources" not in said


def test_the_pace_adds_up_to_what_was_read():
    [chart] = [block for section in content.report(FULL, AROUND).sections for block in section.blocks
               if isinstance(block, Pace)]  # fmt: skip
    spans = [end - start for (start, _), (end, _) in zip(chart.points, chart.points[1:], strict=False)]
    read = sum(span * rate for span, (_, rate) in zip(spans, chart.points[1:], strict=True))
    assert read == pytest.approx(FULL.pace[-1][1])
    assert "79,000 documents in 7.9 s" in chart.told


@pytest.mark.parametrize("pace", [(), ((0.0, 0),), ((0.0, 5), (0.0, 9)), ((1.0, 5),)])
def test_a_run_too_short_for_a_rate_has_no_chart_of_it(pace):
    page(replace(FULL, pace=pace))


def test_a_verdict_of_an_earlier_version_makes_a_report_as_well():
    row = {"passed": True, "covers": None, "at": AT, "users": 3, "entries": 9, "mismatches": 0, "first": []}
    assert "9 entries of 3 users agree" in page(Verification.of(row)).text


def test_very_many_periods_are_cut_short_but_for_those_that_are_wrong():
    days = [(dt.date(2020, 1, 1) + dt.timedelta(days=n)).isoformat() for n in range(2_000)]
    rows = tuple(PeriodRow(day, 1, 10, 1, 10, 1, 10, wrong=int(n == 5)) for n, day in enumerate(days))
    made = page(replace(FULL, passed=False, kinds={"score": 1}, periods=rows))
    assert days[5] in made.text
    assert days[6] not in made.text
    assert "1,969 older periods in which nothing differs not shown" in made.text


# --- the file ------------------------------------------------------------------------------------------------------


@pytest.fixture
def report():
    return content.report(FULL, AROUND)


@pytest.mark.parametrize("name", ["a.html", "a.HTM", "a.md"])
def test_a_file_is_for_its_owner_alone(report, tmp_path, name):
    file.check(tmp_path / "new" / name)
    file.write(report, tmp_path / "new" / name)
    written = tmp_path / "new" / name
    assert written.stat().st_mode & 0o777 == 0o600
    assert "Passed" in written.read_text("utf-8")
    assert [each.name for each in written.parent.iterdir()] == [name]


def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(report, tmp_path):
    (tmp_path / "theirs").write_text("precious")
    (tmp_path / "a.html").symlink_to(tmp_path / "theirs")
    file.write(report, tmp_path / "a.html")
    assert (tmp_path / "theirs").read_text() == "precious"
    assert not (tmp_path / "a.html").is_symlink()


def test_what_cannot_be_written_whole_leaves_the_old_one(report, tmp_path, monkeypatch):
    (tmp_path / "a.html").write_text("old")

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LbmigrateError, match=r"a\.html cannot be written: No space left"):
        file.write(report, tmp_path / "a.html")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"a.html": "old"}


@pytest.mark.parametrize("name", ["a.pdf", "a", "a.html.gz"])
def test_a_name_of_no_form_is_refused_at_once(tmp_path, name):
    with pytest.raises(UsageError, match="is of no form") as refused:
        file.check(tmp_path / name)
    assert refused.value.hint == "end it in .html or .md"


def test_a_directory_is_refused_at_once(tmp_path):
    (tmp_path / "a.html").mkdir()
    with pytest.raises(UsageError, match="is a directory"):
        file.check(tmp_path / "a.html")


def test_a_place_where_others_can_put_something_else_is_refused_at_once(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(Refused, match="can be changed by others"):
        file.check(tmp_path / "open" / "a.html")


def test_the_directory_for_all_will_do(report, tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    file.write(report, tmp_path / "tmp" / "a.html")
    assert (tmp_path / "tmp" / "a.html").exists()
