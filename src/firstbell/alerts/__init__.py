"""Telling people what happened, and hearing what they want: bounded, and never in an order's way."""
