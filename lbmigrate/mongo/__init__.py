"""The server: its clients, what its errors mean, the embedded one, the in-memory stand-in."""
