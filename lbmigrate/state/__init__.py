"""The state collection: everything that must outlive a process. Nobody else reads or writes it."""

from lbmigrate.state.holder import Holder
from lbmigrate.state.lease import BOARDS, FOLLOWING, LOCK, Lease
from lbmigrate.state.rows import BEGINNING, RULES, State
from lbmigrate.state.shapes import COLLECTION

__all__ = ["BEGINNING", "BOARDS", "COLLECTION", "FOLLOWING", "LOCK", "RULES", "Holder", "Lease", "State"]
