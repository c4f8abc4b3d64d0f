"""The append-only store of what was planned and what happened; everything that is shown is read from it."""
