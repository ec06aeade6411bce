"""Events that count and are about nothing that a source could have: no source has their action.

A reconciliation takes back what they are worth; what it has taken back is no longer told. Where a document has the very
id that such an `_id` names, it leaves there what the document is worth, for nothing else can stand for it: that is not
told either.
"""

from __future__ import annotations

from collections.abc import Iterator

from lbmigrate.ledger.strays import of_no_source
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS

SETTLED = "; lbmigrate reconcile takes back what no source is behind"


def of_nothing(context: Context) -> Iterator[str]:
    """A sentence for each action that no source has and that still counts for something."""
    for name in of_no_source(context):
        yield f"{EVENTS} has {name!r}, whose action no source has{SETTLED}"
