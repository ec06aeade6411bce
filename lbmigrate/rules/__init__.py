"""From a document to its event, and from events to entries. Pure: nothing here talks to a database."""
