"""The order manager: what to order, the attempts at it, and the broker's lists that say what became of it."""
