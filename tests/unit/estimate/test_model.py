"""The model of an estimate: nothing costs nothing, more never costs less, and units are what they are called."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.checks.finding import Finding
from lbmigrate.estimate import advice
from lbmigrate.estimate.calibration import Doubts
from lbmigrate.estimate.estimate import Calibration, Estimate, Range, predicted
from lbmigrate.estimate.fitted import fitted
from lbmigrate.estimate.model import (
    PARTS,
    SIDES,
    Executors,
    Machine,
    Overlap,
    Part,
    Work,
    costs,
    limits,
    softened,
    terms_of,
)
from lbmigrate.estimate.sizes import bytes_of, connections, memory
from lbmigrate.estimate.surroundings import Oplog, Surroundings, is_here
from lbmigrate.estimate.verifying import summed_of
from lbmigrate.verify.conserve import MOST_SUMMED

FITTED = fitted()
HERE = Machine(shared=False, cores=8, server_cores=8)
AROUND = Surroundings("6.0.5", 8, 1, 1, shared=False, free=10**12, oplog=Oplog(10**9, 48.0))
ONE, TWO = Executors(1), Executors(2)
AMOUNTS = st.floats(0, 1e9)


def of(documents: float, **more: float) -> Work:
    """So many documents, each of which becomes an event, and an entry for two of these."""
    return Work(
        **{
            "examined": documents, "kib": documents / 5, "documents": documents, "events": documents,
            "gathered": documents, "users": documents / 50, "entries": documents / 2,
            "scoring": documents * 2e-6, "verified": min(documents, 15_000), "summed": summed_of(documents),
            "summed_entries": summed_of(documents) / 2, **more,
        }
    )  # fmt: skip


def seconds(work: Work, executors: Executors = TWO, machine: Machine = HERE) -> float:
    return sum(part.seconds for part in predicted(FITTED, work, executors, machine))


def part_of(name: str, work: Work, executors: Executors = TWO) -> Part:
    return next(part for part in predicted(FITTED, work, executors, HERE) if part.name == name)


def estimated(work: Work, executors: Executors = TWO, **more: object) -> Estimate:
    parts = predicted(FITTED, work, executors, HERE)
    sizes, likely = bytes_of(FITTED, work), sum(part.seconds for part in parts)
    found = {
        "seconds": Range.around(likely, 0.2), "client": Range.around(sum(p.client for p in parts), 0.1),
        "server": Range.around(sum(p.server for p in parts), 0.1), "disk": Range.around(sizes["disk"], 0.1),
        "oplog": Range.around(sizes["oplog"], 0.1), "memory": Range.around(memory(FITTED, executors), 0.1),
        "connections": connections(executors, 1), "parts": parts, "held_back": 0.0, "work": work,
        "executors": executors, "executor": "processes" if executors.processes else "threads",
        "calibration": Calibration(10_000, 150, 1.2, HERE, Doubts()), "surroundings": AROUND,
    }  # fmt: skip
    return Estimate(**{**found, **more})  # type: ignore[arg-type]


def told(found: Estimate, subject: str) -> Finding:
    return next(each for each in advice.findings(found) if each.subject == subject)


# --- the sum of its terms --------------------------------------------------------------------------------------------


def test_no_work_takes_nothing():
    assert seconds(Work()) == 0.0
    assert bytes_of(FITTED, Work()) == {"disk": 0.0, "oplog": 0.0}
    assert advice.findings(estimated(Work())) == []


@given(documents=AMOUNTS, more=AMOUNTS, name=st.sampled_from([each.name for each in fields(Work)]))
def test_more_of_anything_never_takes_less(documents, more, name):
    work = of(documents)
    larger = replace(work, **{name: getattr(work, name) + more})
    assert seconds(larger) >= seconds(work) * (1 - 1e-9)


@given(documents=st.floats(1, 1e9), times=st.floats(1, 10))
def test_a_slower_machine_or_a_longer_way_takes_longer(documents, times):
    work = of(documents)
    for slower in (
        replace(HERE, client=times), replace(HERE, server=times), replace(HERE, busy=times), replace(HERE, trip=times),
    ):  # fmt: skip
        assert seconds(work, machine=slower) >= seconds(work)


@given(documents=st.floats(1, 1e9), workers=st.integers(1, 63))
def test_one_worker_more_never_takes_longer_but_for_its_start(documents, workers):
    work = of(documents)
    assert seconds(work, Executors(workers + 1)) <= seconds(work, Executors(workers)) * (1 + 1e-9)


def test_no_cost_is_negative_and_each_term_has_one():
    for part in PARTS:
        for side in SIDES:
            things = [term.thing for term in terms_of(part, side)]
            assert sorted(FITTED.micros[part][side]) == sorted(things)
            assert min(FITTED.micros[part][side].values()) >= 0


def test_a_cost_is_in_microseconds_and_a_time_in_seconds():
    micros = {part: {side: {t.thing: 0.0 for t in terms_of(part, side)} for side in SIDES} for part in PARTS}
    micros["events"]["server"]["event"] = 7.0
    assert costs(micros, "events", "server", of(1_000_000), Executors(), 1.0) == pytest.approx(7.0)
    assert costs(micros, "events", "server", of(1_000_000), Executors(), 2.0) == pytest.approx(14.0)


def test_an_event_that_is_scored_by_itself_takes_more_of_the_oplog_and_as_much_of_the_disk():
    together, alone = (bytes_of(FITTED, each) for each in (of(1_000), of(1_000, apart=1_000.0)))
    assert alone["oplog"] > together["oplog"]
    assert alone["disk"] == together["disk"]


def test_an_index_more_costs_the_server_an_insert_more_of_each_event_and_room_on_its_disk():
    plain, indexed = of(1_000_000), of(1_000_000, indexes=2)
    [before, after] = [part_of("events", each).server for each in (plain, indexed)]
    assert after - before == pytest.approx(2 * FITTED.micros["events"]["server"]["index"], rel=1e-6)
    assert bytes_of(FITTED, indexed)["disk"] > bytes_of(FITTED, plain)["disk"]


@given(documents=st.floats(1, 1e6), workers=st.integers(1, 64))
def test_every_run_starts_a_program_once_whatever_it_has_to_do(documents, workers):
    [one, other] = [part_of("setup", each, Executors(workers)) for each in (of(1.0), of(documents))]
    assert one == other
    assert one.seconds >= one.client > 0.5
    assert part_of("setup", Work()).seconds == 0.0


# --- what limits -----------------------------------------------------------------------------------------------------


def test_threads_of_one_process_are_held_up_by_python_and_processes_are_not():
    slow = of(1_000_000, scoring=1_000.0)
    assert part_of("events", slow, Executors(8)).limit == "client"
    assert seconds(slow, Executors(8, processes=True)) < seconds(slow, Executors(8)) / 4


def test_client_and_server_on_one_machine_share_its_cores():
    apart, together = replace(HERE, cores=2, server_cores=2), replace(HERE, cores=2, server_cores=2, shared=True)
    assert limits(Overlap(), 10, 10, 0, Executors(4, processes=True), together)["cores"] == pytest.approx(10)
    assert "cores" not in limits(Overlap(), 10, 10, 0, Executors(4), apart)


def test_shards_share_the_work_of_the_server():
    given_ = (Overlap(), 1, 100, 0, Executors(64, processes=True))
    [one, four] = [limits(*given_, replace(HERE, shards=number))["server"] for number in (1, 4)]
    assert one == pytest.approx(4 * four)


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=4), st.floats(1, 12))
def test_the_longest_of_several_times_counts_and_the_others_a_little(times, sharpness):
    assert max(times) * (1 - 1e-9) <= softened(times, sharpness) <= sum(times) * (1 + 1e-9)


def test_bounds_lie_around_what_is_likely():
    assert Range.around(10.0, 0.25) == Range(8.0, 10.0, 12.5)


def test_a_full_verification_is_shared_out_to_processes_and_to_no_threads():
    full = of(1_000_000, verified=0.0, checked=1_000_000.0, summed=0.0, summed_entries=0.0)
    threads, processes, one = (part_of("verification", full, each) for each in (Executors(8), Executors(8, True), ONE))
    assert threads == one
    assert processes.seconds < threads.seconds / 4
    assert advice.limit_of(threads, Executors(8)) != advice.limit_of(processes, Executors(8, True))
    sampled = of(1_000_000)
    assert part_of("verification", sampled, Executors(8, True)) == part_of("verification", sampled, ONE)


# --- what follows ----------------------------------------------------------------------------------------------------


def test_the_number_of_workers_that_is_advised_is_no_more_than_is_worth_it():
    found = estimated(of(10_000_000), Executors(16))
    number = advice.best(found, FITTED, processes=False).executors.workers
    assert told(found, "workers").fix == f"lbmigrate run --workers {number}"
    assert seconds(of(10_000_000), Executors(number)) <= 1.06 * seconds(of(10_000_000), Executors(64))


WAYS = st.builds(Executors, st.integers(1, 64), st.booleans())


@given(documents=st.floats(1e3, 1e9), executors=WAYS, cores=st.integers(1, 32), trip=st.floats(0, 0.01))
def test_more_workers_than_are_worth_it_are_never_said_to_wait_for_more_workers(documents, executors, cores, trip):
    here = replace(HERE, cores=cores, server_cores=cores, shared=cores % 2 == 0, trip=trip)
    found = estimated(of(documents), executors, calibration=Calibration(1, 1, 1.0, here, Doubts()))
    said = told(found, "workers")
    assert "wait for workers" not in said.fact
    if "that is enough" in said.fact:
        assert said.fix == ""
    elif "of one process" in said.fact:
        number = advice.best(found, FITTED, processes=False).executors.workers
        assert seconds(found.work, Executors(number), here) <= seconds(found.work, executors, here)
        assert said.fix == f"lbmigrate run --workers {number}"
    else:
        assert said.fix.endswith(f"--workers {advice.best(found, FITTED, executors.processes).executors.workers}")


def test_workers_are_not_what_is_missing_where_a_throttle_decides():
    found = estimated(of(1_000_000), held_back=3_600.0, seconds=Range.around(3_700.0, 0.1))
    assert told(found, "workers").fact == "the throttle decides how long it takes, and more workers bring nothing"
    assert [each for each in advice.findings(found) if each.subject == "processes"] == []


def test_nothing_is_said_of_workers_where_only_a_verification_is_left():
    left = Work(verified=1_000.0)
    assert {each.subject for each in advice.findings(estimated(left))} & {"workers", "processes"} == set()


def test_processes_are_advised_where_python_is_the_limit():
    found = estimated(of(10_000_000, scoring=1_000.0))
    assert told(found, "processes").fix.startswith("lbmigrate run --executor processes --workers ")


def test_an_oplog_that_holds_less_than_the_run_writes_is_warned_of_with_the_size_that_is_enough():
    found = estimated(of(100_000_000))
    warning = told(found, "oplog")
    assert warning.level == "warning"
    assert f"size: {-(-int(2 * found.oplog.high) // 1_000_000)}}}" in warning.fix
    assert told(estimated(of(1_000)), "oplog").level == "ok"


def test_hours_of_the_oplog_follow_from_the_rate_at_which_it_is_written():
    found = estimated(of(1_000_000), oplog=Range.around(10.0**6, 0.1), seconds=Range.around(3_600.0, 0.1))
    assert advice.hours_at_this_rate(found) == pytest.approx(1_000)
    assert advice.hours_at_this_rate(estimated(of(1), surroundings=replace(AROUND, oplog=None))) is None


def test_a_disk_that_is_too_small_is_warned_of():
    found = estimated(of(1_000_000), surroundings=replace(AROUND, free=1_000))
    assert told(found, "disk").level == "warning"


def test_the_room_for_what_the_oplog_grows_by_counts_and_no_more_than_it_may_grow():
    work = of(100_000_000)
    added = bytes_of(FITTED, work)["disk"]
    for held, warned in ((10**9, False), (10**12, True)):
        around = replace(AROUND, free=int(1.1 * added + 10**9), oplog=Oplog(held, 48.0))
        subjects = {each.subject for each in advice.findings(estimated(work, surroundings=around))}
        assert ("disk" in subjects) == warned


def test_what_is_larger_than_anything_that_was_measured_is_said_to_be_extrapolated():
    assert "200,000 documents" in told(estimated(of(1_000_000), beyond=5.0), "extrapolated").fact
    assert "extrapolated" not in {each.subject for each in advice.findings(estimated(of(1_000), beyond=0.005))}


def test_what_is_no_part_of_an_estimate_is_said_where_nothing_else_is_to_be_done_too():
    found = estimated(Work(), left_out=("a run moves entries",))
    assert advice.findings(found) == [Finding("ok", "not in it", "a run moves entries")]


def test_the_pace_that_leaves_half_of_the_server_to_the_app_is_named_where_a_run_takes_more():
    crowded = estimated(of(10_000_000), Executors(64, processes=True))
    crowded = replace(crowded, seconds=Range.around(crowded.server.likely / 8, 0.1))
    assert "documents_per_second: " in told(crowded, "load").fix
    idle = replace(crowded, seconds=Range.around(crowded.server.likely, 0.1))
    assert told(idle, "load").fix == ""


def test_a_machine_that_is_busy_is_told():
    machine = replace(HERE, busy=1.8)
    found = estimated(of(1_000), calibration=Calibration(1, 1, 1.0, machine, Doubts()))
    assert "1.8 times" in told(found, "this machine").fact


# --- the constants that come with it ---------------------------------------------------------------------------------


BY_DAY = "all of it verified, by day"
SERVER = "the server takes a quarter more, and a little beyond it, where all of many boards by day are verified"
HELD_BACK = [
    pytest.param(
        each, name, id=f"{each['case']['name']}: {name}",
        marks=[pytest.mark.xfail(reason=SERVER, strict=True)] * ((each["case"]["name"], name) == (BY_DAY, "server")),
    )
    for each in FITTED.held_back
    for name in ("seconds", "client", "server")
]  # fmt: skip


@pytest.mark.parametrize(("held_back", "name"), HELD_BACK)
def test_what_was_held_back_is_predicted_within_a_quarter(held_back, name):
    predicted_, measured = held_back[name]
    assert abs(predicted_ / measured - 1) <= 0.25


def test_three_cases_or_more_were_held_back():
    assert len(FITTED.held_back) >= 3


def test_the_constants_name_no_host_and_no_path():
    text = repr(FITTED)
    assert "/" not in text
    assert all(word not in text for word in ("home", "tmp", "host"))


def test_a_server_that_is_reached_through_this_machine_is_here():
    class Nodes:
        def __init__(self, *nodes: tuple[str, int | None]) -> None:
            self.client, self.nodes = self, set(nodes)

    assert is_here(Nodes(("127.0.0.1", 27017)))  # type: ignore[arg-type]
    assert is_here(Nodes(("somewhere.sock", None)))  # type: ignore[arg-type]
    assert not is_here(Nodes(("127.0.0.1", 27017), ("db.example", 27017)))  # type: ignore[arg-type]
    assert not is_here(Nodes())  # type: ignore[arg-type]


def test_a_sampled_verification_of_very_many_events_adds_nothing_up():
    """What is left grows with users: the model is to take less for more events where that is what happens."""
    assert summed_of(MOST_SUMMED) == MOST_SUMMED
    assert summed_of(MOST_SUMMED + 1) == 0
    most, more = (part_of("verification", of(events)) for events in (MOST_SUMMED, MOST_SUMMED + 1))
    assert more.server < most.server / 2
