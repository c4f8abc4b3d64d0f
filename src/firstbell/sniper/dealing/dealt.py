"""A login on a worker that has no config: armed by the master, fired here, and looked after by the master again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from firstbell.brokers.base import HttpBroker, Token
from firstbell.brokers.registry import answer_reader
from firstbell.errors import NotSent, RunError
from firstbell.log import hide
from firstbell.model.facts import Facts, texts_of
from firstbell.model.instant import instant
from firstbell.sniper.arming import Armed
from firstbell.sniper.dealing.documents import read_around, read_call, read_order, readable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from firstbell.brokers.base import (
        Answer,
        Capabilities,
        Estimate,
        Holding,
        Outcome,
        PreparedCall,
        PreparedOrder,
        VenueFill,
        VenueOrder,
    )
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import BrokerCode, ClientOrderId, InstrumentId, VenueOrderId
    from firstbell.model.instrument import Instrument
    from firstbell.model.order import Order
    from firstbell.model.quote import Quote
    from firstbell.model.terms import Side
    from firstbell.oms.logins import Login
    from firstbell.risk.checks import Surroundings
    from firstbell.sniper.aiming import Aims, HostAim
    from firstbell.sniper.context import RunContext
    from firstbell.sniper.dealing.link import Link

_LOG_IN_S: Final = 20.0
"""How long a new log-in by the master is waited for."""


class DealtBroker:
    """A `firstbell.brokers.base.HttpBroker` for what the master has prepared. All else can only the master ask.

    Args:
        context: The run.
        login: The login.
        capabilities: What the broker can do.
        link: Leads to the master.
        proofs: The calls that prove a connection, which all logins at one broker may use: code → call.
    """

    def __init__(
        self,
        context: RunContext,
        login: Login,
        capabilities: Capabilities,
        link: Link,
        proofs: dict[BrokerCode, PreparedCall],
    ) -> None:
        self._context = context
        self._login = login
        self._capabilities = capabilities
        self._link = link
        self._proofs = proofs
        self._read_answer = answer_reader(login.broker_code)
        self._prepared: dict[ClientOrderId, PreparedOrder] = {}
        self._token_ended = False
        self.around: dict[ClientOrderId, Surroundings] = {}
        """What each order was judged against, by its name."""

    @property
    def code(self) -> BrokerCode:
        """The broker's code."""
        return self._login.broker_code

    @property
    def capabilities(self) -> Capabilities:
        """What it can do by itself."""
        return self._capabilities

    def fetch(self) -> tuple[list[PreparedOrder], list[str]]:
        """Have the master arm the login.

        Returns:
            What may be sent, in its order, and the accounts that another process has.

        Raises:
            RunError: It could not be armed.
        """
        answer = self._link.ask(self._context, self._login)
        with readable("a login's orders"):
            elsewhere = texts_of(answer.get("elsewhere"))
        return self._take(answer), elsewhere

    def prepare(self, order: Order) -> PreparedOrder:
        """The bytes that the master wrote.

        Raises:
            NotSent: It wrote none for this order.
        """
        if order.client_order_id not in self._prepared:
            raise NotSent(f"the master has not prepared {order.client_order_id}")
        return self._prepared[order.client_order_id]

    def prepare_proof(self) -> PreparedCall:
        """The cheap call that the master wrote for this broker.

        Raises:
            NotSent: It has written none.
        """
        if self.code not in self._proofs:
            raise NotSent(f"the master has not prepared anything for {self.code}")
        return self._proofs[self.code]

    def read_answer(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Read what the broker answered to an order."""
        return self._read_answer(status, headers, body)

    def forget_token(self) -> None:
        """The broker has refused the token: the next `login` has the master get a new one."""
        self._token_ended = True

    @property
    def is_logged_in(self) -> bool:
        """Whether the master's token still served when it was last used."""
        return not self._token_ended

    def login(self, *, lasting_until: datetime | None = None) -> Token:
        """Have the master log in anew where the token has ended, and write the orders anew.

        Raises:
            NotSent: It could not.
        """
        del lasting_until
        if self._token_ended:
            try:
                self._take(self._link.ask(self._context, self._login, anew=True, within_s=_LOG_IN_S))
            except RunError as error:
                raise NotSent(str(error)) from None
            self._token_ended = False
        # The token itself is in the requests; nobody here has any other use for it.
        return Token("", instant(self._context.clock.wall_ns()))

    def _take(self, answer: Mapping[str, Any]) -> list[PreparedOrder]:
        with readable("a login's orders"):
            documents = Facts(answer).list("orders")
        prepared = [read_order(document) for document in documents]
        judged = [read_around(document) for document in documents]
        ours = {account.name for account in self._login.accounts}
        if any(each.order.broker_code != self.code or each.order.account not in ours for each in prepared):
            raise RunError("the master has dealt another login's orders")
        self._prepared.update({each.order.client_order_id: each for each in prepared})
        self.around.update(zip([each.order.client_order_id for each in prepared], judged, strict=True))
        if answer.get("proof") is not None:
            self._proofs[self.code] = read_call(answer["proof"])
        if prepared:
            for name, value in prepared[0].headers.items():
                if name.lower() == "authorization":
                    hide(value.rpartition(" ")[2])
        return prepared

    def send(self, prepared: PreparedOrder, *, timeout_s: float) -> Answer:
        """Not from here: orders leave on lanes."""
        del prepared, timeout_s
        self._only_the_master()

    def submit(self, order: Order) -> Outcome:
        """Not from here."""
        del order
        self._only_the_master()

    def cancel(self, venue_order_id: VenueOrderId) -> None:
        """Not from here."""
        del venue_order_id
        self._only_the_master()

    def replace(self, venue_order_id: VenueOrderId, order: Order) -> Outcome:
        """Not from here."""
        del venue_order_id, order
        self._only_the_master()

    def buying_power(self, *, fresh: bool = False) -> Decimal:
        """Not from here."""
        del fresh
        self._only_the_master()

    def instrument(self, instrument: InstrumentId, *, fresh: bool = False) -> Instrument:
        """Not from here."""
        del instrument, fresh
        self._only_the_master()

    def quote(self, instrument: InstrumentId) -> Quote:
        """Not from here."""
        del instrument
        self._only_the_master()

    def estimate(self, instrument: InstrumentId, side: Side, money: Decimal, price: Decimal) -> Estimate | None:
        """Not from here."""
        del instrument, side, money, price
        self._only_the_master()

    def orders(self, day: date) -> tuple[VenueOrder, ...]:
        """Not from here."""
        del day
        self._only_the_master()

    def open_orders(self) -> tuple[VenueOrder, ...]:
        """Not from here."""
        self._only_the_master()

    def fills(self, day: date) -> tuple[VenueFill, ...]:
        """Not from here."""
        del day
        self._only_the_master()

    def positions(self) -> tuple[Holding, ...]:
        """Not from here."""
        self._only_the_master()

    def _only_the_master(self) -> NoReturn:
        raise NotSent(f"{self.code}: only the master can ask this")


def arm_by_master(context: RunContext, login: Login, broker: HttpBroker, aims: Aims, aim: HostAim) -> Armed:
    """Have a login armed by the master: a `firstbell.sniper.firing.ArmLogin`.

    Raises:
        RunError: It could not be armed.
    """
    del context
    if not isinstance(broker, DealtBroker):
        raise RunError(f"{login.leader.name}: its orders were not dealt to this worker")
    prepared, elsewhere = broker.fetch()
    ready = [(each.order, each) for each in prepared]
    if ready:
        aims.begin(aim, broker)
        aims.look_roughly(aim)
        # From now on this process keeps to it, whatever it still learns of the host's clock.
        aim.leaves_from_ns()
    names = {account.name for account in login.accounts if account.name in elsewhere}
    return Armed(login, broker, ready, names, broker.around)


class JournalInquiry:
    """Finds out what became of orders from the journal alone, where the master writes what the lists say.

    Args:
        context: The run.
    """

    def __init__(self, context: RunContext) -> None:
        self._journal = context.journal
        self._seen: set[ClientOrderId] = set()

    @property
    def seen(self) -> Collection[ClientOrderId]:
        """The orders that need not be looked for any more."""
        return self._seen

    def look(self, names: Sequence[ClientOrderId]) -> tuple[Entry, ...]:
        """How these orders stand. What has been accepted is confirmed by the master."""
        self._seen.update(names)
        return tuple(entry for name in names if (entry := self._journal.entry(name)) is not None)
