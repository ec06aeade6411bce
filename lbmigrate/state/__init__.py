"""The state collection: everything that must outlive a process. Nobody else reads or writes it."""

from lbmigrate.state.lease import Holder, Lease
from lbmigrate.state.rows import COLLECTION, State

__all__ = ["COLLECTION", "Holder", "Lease", "State"]
