from __future__ import annotations

import json

import bson
import pytest

from lbmigrate.errors import LbmigrateError
from lbmigrate.state.statuses import MOVES, ChunkStatus, RunStatus, Status, StepStatus

KINDS = (StepStatus, RunStatus, ChunkStatus)
EVERY = [status for kind in KINDS for status in kind]


@pytest.mark.parametrize("status", EVERY, ids=repr)
def test_every_status_has_a_sentence_and_a_row_in_the_table_of_moves(status):
    assert status.sentence
    assert all(isinstance(following, type(status)) for following in MOVES[type(status)][status])


@pytest.mark.parametrize("before", EVERY, ids=repr)
def test_only_the_moves_of_the_table_can_be_made(before):
    for following in type(before):
        if following in MOVES[type(before)][before]:
            assert before.to(following) == following.value
        else:
            with pytest.raises(LbmigrateError, match=f"from '{before.value}' to '{following.value}'"):
                before.to(following)


def test_the_stored_values_are_those_of_earlier_versions():
    assert {"new", "applied", "reverted", "kept"} <= {status.value for status in StepStatus}
    assert {"running", "done", "stopped", "refused", "mismatch", "work remains"} <= {s.value for s in RunStatus}
    assert [status.value for status in ChunkStatus] == ["claimed", "failed", "emitted", "rolled"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_status_can_be_reached_from_the_first(kind):
    reached: set[Status] = {next(iter(kind))}
    while more := {after for before in reached for after in MOVES[kind][before]} - reached:
        reached |= more
    assert reached == set(kind)


def test_what_a_move_returns_is_plain_text_for_the_database_and_for_json():
    moved = RunStatus.RUNNING.to(RunStatus.DONE)
    assert type(moved) is str
    assert bson.decode(bson.encode({"outcome": moved})) == json.loads(json.dumps({"outcome": moved}))
