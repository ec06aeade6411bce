"""What a run does while a Dask cluster has one of its tasks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("distributed")

from lbmigrate.workers.at_work import packed, unpacked
from lbmigrate.workers.dask_cluster import DaskLine

TASK = {"kind": "emit", "perSecond": 40, "asks": False}


class Table:
    """The rows of two workers: the one that had the task is gone, the other one works it out again, and asks."""

    def __init__(self):
        self.answers = {}

    def asking(self, number):
        body = packed({"read": 20})
        return [{"_id": "another", "ask": {"n": number, "m": 1, "body": body}}] if "another" not in self.answers else []

    def answer(self, row, number, turn, body):
        self.answers[row] = (number, turn, unpacked(body))


class Lost:
    """A task that is done; but whoever had its result was killed before it was fetched."""

    def __init__(self, table):
        self._table = table

    def done(self):
        return True

    def result(self, timeout):
        if "another" not in self._table.answers:
            raise TimeoutError
        return packed({"documents": 20})


def test_a_task_whose_result_is_lost_is_answered_while_it_is_worked_out_again():
    table = Table()
    client = SimpleNamespace(submit=lambda *_, **__: Lost(table))
    presence = SimpleNamespace(check=lambda: None)
    line = DaskLine(client, table, {"run": "r"}, 32, "mongodb://h", presence, SimpleNamespace())
    assert line.ask(TASK, lambda asked: {"taken": asked["read"]}) == {"documents": 20}
    assert table.answers == {"another": (32, 1, {"taken": 20})}
