"""A leaderboard from Python, cell by cell, on the in-memory database: `python examples/notebook.py`.

Editors that know `# %%` run it like a notebook. For your own server leave the first cell out, load your configuration
with `load_config`, and give `config` to the commands in the place of `where`.
"""

# %% A small app: three people, and what they did. It is gone when this process ends.
import datetime as dt

from lbmigrate import Board, LbmigrateError, commands
from lbmigrate.config.model import Config
from lbmigrate.mongo import fake
from lbmigrate.run.connection import connection
from lbmigrate.run.context import VerifyOptions
from lbmigrate.testing import change_score

MONDAY = dt.datetime(2025, 11, 3, 9)
client = fake.client()
app = client["app"]
app["users"].insert_many([{"_id": name.lower(), "name": name} for name in ("Anna", "Ben", "Cleo")])
app["tasks"].insert_many(
    [
        {"_id": number, "userId": ("anna", "ben", "cleo")[number % 3], "status": "done", "minutes": 5 * number,
         "doneAt": MONDAY + dt.timedelta(hours=5 * number)}
        for number in range(1, 12)
    ]
)  # fmt: skip

# %% What counts: a point a minute, an hour at most.
config = Config.model_validate(
    {
        "users": {"display_name": "name"},
        "sources": [
            {"name": "tasks", "collection": "tasks", "action": "task_complete", "where": {"status": "done"},
             "user": "userId", "at": "doneAt", "let": {"minutes": {"path": "minutes"}},
             "points": "minimum(minutes, 60)"}
        ],
    }
)  # fmt: skip
where = connection(client, config)

# %% Migrate: the six steps, as `lbmigrate run --no-backup` does.
counts = commands.run(where, no_backup=True)
print(f"{counts.read} tasks read, {counts.emitted} events")

# %% The board of all time, and the place of one user in a week.
board = Board(app, config)
for place in board.top("global", 10):
    print(place.rank, place.name, place.score)
cleo = board.rank("cleo", "2025-W45")
print("Cleo is", cleo and cleo.rank, "in week 45")

# %% Is it right? A full comparison by a second reading; an error says what is wrong, and what to do.
commands.verify(where, options=VerifyOptions(full=True))
print("verified")
change_score(app, "global:anna", by=1000)  # somebody writes to the entries by hand
try:
    commands.verify(where, options=VerifyOptions(full=True))
except LbmigrateError as error:
    print(error, "| next:", error.hint)
commands.repair(where)

# %% Why does Anna have so many points?
why = commands.explain(where, "anna")
print(why.points, "points in", why.events, "events;", "the last one:", why.last[0].id)
