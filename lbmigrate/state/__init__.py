"""The state collection: everything that must outlive a process. Nobody else reads or writes it."""

from lbmigrate.state.lease import FOLLOWING, LOCK, Holder, Lease
from lbmigrate.state.rows import BEGINNING, COLLECTION, State

__all__ = ["BEGINNING", "COLLECTION", "FOLLOWING", "LOCK", "Holder", "Lease", "State"]
