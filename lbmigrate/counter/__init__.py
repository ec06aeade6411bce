"""The board beside a counter that the app had before: how far they agree, and whom people will ask about."""
