"""The field's nouns: orders, reports, fills, instruments, money. Pure: no I/O and no clock."""
