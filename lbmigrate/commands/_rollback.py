"""The verb that takes everything back: rollback, and what it would do."""

from __future__ import annotations

from lbmigrate.config.model import Config
from lbmigrate.errors import UsageError
from lbmigrate.ledger.binding import ANY_OF_OURS
from lbmigrate.migration import rollback as way_back
from lbmigrate.migration import runner
from lbmigrate.migration import steps as migration
from lbmigrate.migration.rollback import StepPreview
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import Step
from lbmigrate.mongo.client import retrying
from lbmigrate.run.connection import Connection, opened


def preview_rollback(where: Config | Connection, *, to: int = 0, keep_data: bool = False) -> tuple[StepPreview, ...]:
    """What a rollback to step `to` would do, step by step. Writes nothing."""
    steps = _above(to)
    with opened(where) as connection:
        if connection.is_untouched():
            return ()
        return retrying(lambda: way_back.preview(connection.context(keep_data=keep_data), steps))


def rollback(
    where: Config | Connection, *, to: int = 0, keep_data: bool = False, terms: Terms = Terms()
) -> tuple[StepPreview, ...]:
    """Revert the steps above `to`, the last first, without asking; what that did. `keep_data` removes nothing."""
    steps = _above(to)
    with opened(where) as connection:
        found = preview_rollback(connection, to=to, keep_data=keep_data)
        if found:
            with runner.started(connection, "rollback", terms, bears=ANY_OF_OURS, keep_data=keep_data) as driver:
                driver.revert(steps)
        return found


def _above(to: int) -> list[Step]:
    last = migration.STEPS[-1].NUMBER
    if not 0 <= to < last:
        raise UsageError(
            f"there is no step {to} to go back to; a rollback ends at 0 to {last - 1}", "lbmigrate rollback --help"
        )
    return [step for step in migration.STEPS if to < step.NUMBER]
