"""The door: one file for each verb or noun, options, confirmations, and errors as exit codes."""
