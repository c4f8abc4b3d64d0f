"""The commands. They print tables for people and JSON for programs, and know nothing of how anything is done."""
