"""The state collection: everything that must outlive a process. Nobody else reads or writes it."""

from lbmigrate.state.lease import BOARDS, FOLLOWING, LOCK, Holder, Lease
from lbmigrate.state.rows import COLLECTION, State

__all__ = ["BOARDS", "COLLECTION", "FOLLOWING", "LOCK", "Holder", "Lease", "State"]
