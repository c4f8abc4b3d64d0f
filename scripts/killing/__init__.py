"""Kills firstbell for real around the bell, damages what it wrote, and judges what it says by what the exchange saw.

``scripts/kills`` runs this package; ``scripts/kills --help`` says how.
"""
