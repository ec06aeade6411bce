"""From the documents looked at to a configuration. Pure: what the server must be asked comes as `Known`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lbmigrate.detect import actions, people
from lbmigrate.detect.looked_at import LookedAt
from lbmigrate.detect.proposal import Proposal
from lbmigrate.detect.references import Known
from lbmigrate.errors import Refused

MOST_TOLD = 5  # collections in one error


def propose(
    looks: Sequence[LookedAt], known: Known, database: Mapping[str, Any], answers: Mapping[str, str] = {}
) -> Proposal:
    """The likeliest configuration for what was looked at, given answers to earlier questions.

    Raises Refused, naming what was seen, where there are no users or nothing to score.
    """
    chosen, asked = people.choose(people.candidates(looks, known), answers)
    users, more = people.users(chosen, answers)
    sources, further, left = actions.sources(looks, chosen, known, answers)
    if not sources:
        told = [f"{name}: {reason}" for name, reason in left.items()]
        seen = "; ".join(told[:MOST_TOLD]) or "no collection names users"
        raise Refused(
            f"nothing in {database['name']} looks like actions of users in {chosen.look.name} ({seen})",
            "lbmigrate config init --template, and fill it in by hand",
        )
    return Proposal(database, users, tuple(sources), (*asked, *more, *further), left)
