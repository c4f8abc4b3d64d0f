"""Simulated histories: the whole way of an order, on a simulated clock, wire and exchange, driven by a seed.

The product's own code runs in it; clock, transport, carrier and the journal's database are ports, and stand here. Time
passes only when nobody has anything to do, so a history of some minutes takes some milliseconds, and the same seed
gives the same history, event by event. `oracle` judges it by the exchange's own list; `mutants` shows that it can.
"""
