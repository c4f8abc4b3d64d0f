"""How a broker of this platform is put together for an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.brokers.courtesy import Courtesy
from firstbell.brokers.ephoenix.broker import EphoenixBroker
from firstbell.brokers.ephoenix.hosts import TABLE, hosts_of
from firstbell.brokers.ephoenix.login import Login
from firstbell.brokers.ephoenix.orders import read_order_answer
from firstbell.brokers.refused_logins import RefusedLogins
from firstbell.brokers.session import Session
from firstbell.brokers.shelf import Shelf
from firstbell.brokers.transport import shared_transport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstbell.brokers.base import Outcome
    from firstbell.brokers.captcha import CaptchaSolver
    from firstbell.cache import TtlCache
    from firstbell.clock import Clock
    from firstbell.config import AccountSettings, Settings
    from firstbell.model.identifiers import BrokerCode


def open_account(
    account: AccountSettings, settings: Settings, cache: TtlCache, solver: CaptchaSolver, clock: Clock
) -> EphoenixBroker:
    """Put together the broker of an account. Nothing is asked of anybody yet."""
    code = account.broker_code
    own = settings.broker(code)
    hosts = hosts_of(code, own)
    identity_host = hosts.identity.partition("://")[2]
    state_dir = settings.firstbell.state_dir
    locks = state_dir / "locks"
    # The hosts are part of the name: a token of one host is never sent to another, as after a rehearsal.
    key = f"{code}\x1f{hosts.identity}\x1f{hosts.api}\x1f{account.username}"
    password = account.password.get_secret_value()
    shelf = Shelf(cache)
    transport = shared_transport(own.ca_file)
    log_in = Login(
        account.username,
        password,
        identity_url=hosts.identity,
        before_login_s=TABLE[code].before_login_s,
        account=account.name,
        solver=solver,
        courtesy=Courtesy(identity_host, shelf, locks, clock),
        transport=transport,
        clock=clock,
    )
    session = Session(
        key,
        identity_host,
        password,
        log_in=log_in,
        shelf=shelf,
        refused=RefusedLogins(shelf, state_dir, key),
        locks=locks,
        clock=clock,
    )
    return EphoenixBroker(
        code,
        key,
        hosts=hosts,
        min_interval_ms=own.min_interval_ms,
        session=session,
        transport=transport,
        shelf=shelf,
        clock=clock,
    )


def order_url(code: BrokerCode, settings: Settings) -> str:
    """The host that takes a broker's orders: scheme, host and port."""
    return hosts_of(code, settings.broker(code)).api


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """Read what a broker of this platform answered to an order."""
    return read_order_answer(status, headers, body)


def service_urls(code: BrokerCode, settings: Settings) -> dict[str, str]:
    """Every host of a broker by what it serves."""
    hosts = hosts_of(code, settings.broker(code))
    urls = {"identity": hosts.identity, "api": hosts.api, "market data": hosts.market_data}
    return urls if hosts.backoffice is None else {**urls, "back office": hosts.backoffice}
