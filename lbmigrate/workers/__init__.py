"""Work in other processes, of this host and of others: what they are told, and the ways to them."""
