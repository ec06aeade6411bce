"""What a run came to, in the sentence that it ends with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lbmigrate.console.format import duration, rate
from lbmigrate.records import Way, Work, amount
from lbmigrate.rehearsal.told import FACT as REHEARSAL
from lbmigrate.state.statuses import RunStatus

NEXT = {  # after a run
    "1 create-collections": "lbmigrate run",
    "2 create-indexes": "lbmigrate run",
    "3 dual-write": "lbmigrate run",
    "4 backfill": "lbmigrate verify",
    "5 verify": "lbmigrate run",
    "6 cut-over": "lbmigrate top",
}
AFTER = {  # what else was typed
    "recount": "lbmigrate verify",
    "reconcile": "lbmigrate verify",
    "rejects retry": "lbmigrate verify",
    "rollback": "lbmigrate plan",
    "boards rebuild": "lbmigrate boards check",
}


def steps_ended(steps: Sequence[Work], way: Way) -> str:
    """The steps that have ended, in their order: `steps 1 to 3 applied`, `step 6 reverted`; empty for none."""
    if not steps:
        return ""
    first, last = steps[0].number, steps[-1].number
    named = f"step {first}" if len(steps) == 1 else f"steps {first} to {last}"
    done = {Way.APPLY: "applied", Way.REVERT: "reverted", Way.KEEP: "turned off, the data kept"}[way]
    return f"{named} {done}"


def run_summary(facts: Mapping[str, Any], came_to: str = "", did: bool = False, steps: str = "") -> str:
    """What was done, how long it took and how fast, what could not be scored, and what is next.

    Where that is nothing that is counted for all runs alike, it is what the last work `came_to`, else the `steps` that
    have ended; `did` says that there was something to do. Only a run that came to its end knows that there was nothing.
    """
    held = sum(facts["held"].values())
    waited = f", held for {duration(held)}" if held >= 1 else ""
    idle = "nothing to do" if facts["outcome"] == RunStatus.DONE else ""
    told = ", ".join(_did(facts)) or came_to.replace(" · ", ", ") or (steps if did else idle)
    took = f"{facts['outcome']} in {duration(facts['seconds'])}{waited}{f': {told}' if told else ''}"
    if facts.get(REHEARSAL):
        return f"dry run {took}"
    told = f"{facts['verb']} {took}  (run {facts['run']})"
    return f"{told}; next: {_next(facts)}" if _next(facts) else told


def _did(facts: Mapping[str, Any]) -> Iterator[str]:
    documents, active = facts["documents"], facts.get("active") or 0.0
    if documents:
        yield f"{amount(documents, 'document')}{f' ({rate(documents / active)})' if active else ''}"
    would = "would write " if facts.get(REHEARSAL) else ""
    for name, words in (("events", "event"), ("rejects", "reject")):
        if facts[name]:
            yield f"{would}{amount(facts[name], words)}"
            would = ""
    if facts["entries"]:
        yield f"{would}{amount(facts['entries'], 'entry')}"


def _next(facts: Mapping[str, Any]) -> str:
    """The next command after a good end; one that was not good has its own, and so has a demo."""
    verb = facts["verb"]
    if facts["outcome"] != RunStatus.DONE or verb == "demo":
        return ""
    if facts["rejects"]:
        return "lbmigrate rejects"
    if verb == "run":
        return NEXT.get(facts["last_work"], "")
    is_typed = str(facts["command"]).startswith(f"lbmigrate {verb}")  # and no part of something larger
    return AFTER.get(verb, "") if is_typed else ""
