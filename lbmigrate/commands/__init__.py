"""The verbs as plain functions: what the command line calls, and what notebooks, schedulers and tests may call as well.

Each takes a configuration, or a connection that is open already (`lbmigrate.run.connection.opened`), and raises an
LbmigrateError where the command line would print one; its `exit_code` is that of the table. Nothing is printed: `Terms`
carry a listener that hears every report. What a verb needs is imported when the verb is asked for: its module begins
with `_`, since a module of the verb's own name would stand in the verb's place once it is imported.

    from lbmigrate import commands, load_config
    config = load_config("config/leaderboard.yaml")
    commands.run(config, to=4, no_backup=True)
    print(commands.plan(config).pending)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lbmigrate.commands._archive import archive_boards, restore_boards, settled_boards
    from lbmigrate.commands._backup import make_backup, restore_backup, verify_backup
    from lbmigrate.commands._boards import boards_status, check_boards, persist_boards, rebuild_boards
    from lbmigrate.commands._control import pause, resume, tune, unlock
    from lbmigrate.commands._demo import demo
    from lbmigrate.commands._dry_run import dry_run
    from lbmigrate.commands._estimate import estimate
    from lbmigrate.commands._explain import explain
    from lbmigrate.commands._flag import turn_flag
    from lbmigrate.commands._forget import forget, preview_forget
    from lbmigrate.commands._look import come_apart, history, status
    from lbmigrate.commands._plan import doctor, plan
    from lbmigrate.commands._propose import propose
    from lbmigrate.commands._reconcile import preview_reconcile, reconcile
    from lbmigrate.commands._recount import recount
    from lbmigrate.commands._rejects import reject_groups, rejects, retry_rejects, show_reject
    from lbmigrate.commands._repair import repair
    from lbmigrate.commands._report import compare_counter, write_report
    from lbmigrate.commands._rollback import preview_rollback, rollback
    from lbmigrate.commands._run import backfill, run, verify
    from lbmigrate.commands._tail import tail
    from lbmigrate.commands._work import work
    from lbmigrate.migration.runner import Terms

HOMES = {
    "Terms": "lbmigrate.migration.runner",
    "archive_boards": "lbmigrate.commands._archive",
    "backfill": "lbmigrate.commands._run",
    "boards_status": "lbmigrate.commands._boards",
    "check_boards": "lbmigrate.commands._boards",
    "come_apart": "lbmigrate.commands._look",
    "compare_counter": "lbmigrate.commands._report",
    "demo": "lbmigrate.commands._demo",
    "doctor": "lbmigrate.commands._plan",
    "dry_run": "lbmigrate.commands._dry_run",
    "estimate": "lbmigrate.commands._estimate",
    "explain": "lbmigrate.commands._explain",
    "forget": "lbmigrate.commands._forget",
    "history": "lbmigrate.commands._look",
    "make_backup": "lbmigrate.commands._backup",
    "pause": "lbmigrate.commands._control",
    "persist_boards": "lbmigrate.commands._boards",
    "plan": "lbmigrate.commands._plan",
    "preview_forget": "lbmigrate.commands._forget",
    "preview_reconcile": "lbmigrate.commands._reconcile",
    "preview_rollback": "lbmigrate.commands._rollback",
    "rebuild_boards": "lbmigrate.commands._boards",
    "reconcile": "lbmigrate.commands._reconcile",
    "propose": "lbmigrate.commands._propose",
    "recount": "lbmigrate.commands._recount",
    "reject_groups": "lbmigrate.commands._rejects",
    "rejects": "lbmigrate.commands._rejects",
    "repair": "lbmigrate.commands._repair",
    "restore_backup": "lbmigrate.commands._backup",
    "restore_boards": "lbmigrate.commands._archive",
    "retry_rejects": "lbmigrate.commands._rejects",
    "show_reject": "lbmigrate.commands._rejects",
    "resume": "lbmigrate.commands._control",
    "rollback": "lbmigrate.commands._rollback",
    "run": "lbmigrate.commands._run",
    "settled_boards": "lbmigrate.commands._archive",
    "status": "lbmigrate.commands._look",
    "tail": "lbmigrate.commands._tail",
    "tune": "lbmigrate.commands._control",
    "turn_flag": "lbmigrate.commands._flag",
    "unlock": "lbmigrate.commands._control",
    "verify": "lbmigrate.commands._run",
    "verify_backup": "lbmigrate.commands._backup",
    "work": "lbmigrate.commands._work",
    "write_report": "lbmigrate.commands._report",
}
__all__ = [
    "Terms",
    "archive_boards",
    "backfill",
    "boards_status",
    "check_boards",
    "come_apart",
    "compare_counter",
    "demo",
    "doctor",
    "dry_run",
    "estimate",
    "explain",
    "forget",
    "history",
    "make_backup",
    "pause",
    "persist_boards",
    "plan",
    "preview_forget",
    "preview_reconcile",
    "preview_rollback",
    "propose",
    "rebuild_boards",
    "reconcile",
    "recount",
    "reject_groups",
    "rejects",
    "repair",
    "restore_backup",
    "restore_boards",
    "resume",
    "retry_rejects",
    "rollback",
    "run",
    "settled_boards",
    "show_reject",
    "status",
    "tail",
    "tune",
    "turn_flag",
    "unlock",
    "verify",
    "verify_backup",
    "work",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
