"""The broker codes that a config may name, and the firm behind each one.

Only names: what a broker's hosts are and how it is spoken to stands in `firstbell.brokers`. The names are here, on the
ground floor, so that the config can refuse a misspelt code without knowing any broker.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from firstbell.model.identifiers import BrokerCode

EPHOENIX_CODES: Final[MappingProxyType[BrokerCode, str]] = MappingProxyType(
    {
        BrokerCode("gs"): "Ganjineh Sepehr",
        BrokerCode("bbi"): "Bourse Bimeh Iran",
        BrokerCode("shahr"): "Bank Shahr brokerage",
        BrokerCode("karamad"): "Karamad",
        BrokerCode("tejarat"): "Bank Tejarat brokerage",
        BrokerCode("shams"): "Shams",
        # The siblings' full names are not in our sources, so the code stands for them.
        BrokerCode("ebb"): "EBB",
        BrokerCode("hbc"): "HBC",
        BrokerCode("rabin"): "Rabin",
        BrokerCode("ayandeh"): "Ayandeh",
        BrokerCode("farabi"): "Farabi",
        BrokerCode("ideal"): "Ideal",
        BrokerCode("ib"): "IB Trader",
    }
)
"""The brokers on the ephoenix platform, code → firm."""

MAIN_CODES: Final[tuple[BrokerCode, ...]] = tuple(EPHOENIX_CODES)[:6]
"""The six Tehran brokers that firstbell was written for."""

PAPER: Final = BrokerCode("paper")
"""Trading without money, in this process."""

BROKER_CODES: Final[MappingProxyType[BrokerCode, str]] = MappingProxyType({**EPHOENIX_CODES, PAPER: "Paper trading"})
"""Every code that a config may name, code → firm."""

PLANNED_CODES: Final[frozenset[BrokerCode]] = frozenset()
"""Codes that have their name already and cannot be opened yet."""
