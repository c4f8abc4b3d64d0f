"""The brokers: one dialect each, one transport for all, and the protocol that everybody above speaks to them."""
