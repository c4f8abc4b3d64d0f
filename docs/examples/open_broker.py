"""Open a broker by itself, without the order manager: for reading, and for programs that keep their own books.

Orders that go through a broker alone are claimed by nobody and logged by nobody: the order manager does both.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from example_config import example_config

from firstbell.brokers.registry import known_codes, open_broker
from firstbell.config import load
from firstbell.errors import ConfigError, NotSent
from firstbell.oms.office import Office

with example_config(__doc__) as (config, _), Office(load(config)) as office:
    account = office.settings.enabled[0]
    print(f"Brokers that can be opened: {', '.join(known_codes())}")

    # The office opens each login's broker once; accounts of one login share it.
    broker = office.broker(account)
    print(f"{account.name}: {broker.code}, the same again: {office.broker(account) is broker}")
    broker.login()
    print(f"It may spend {broker.buying_power():,} rials and holds {broker.positions()}")
    print(f"It can by itself: {broker.capabilities}")
    band = broker.instrument("IRO1FOLD0001").band
    print(f"IRO1FOLD0001 trades from {band.low:,} to {band.high:,}; its quote: {broker.quote('IRO1FOLD0001')}")

    # A code that no adapter speaks to.
    try:
        open_broker(account.model_copy(update={"broker_code": "mock"}), office.settings, office.cache, lambda _: None)
    except NotSent as error:
        print(f"Not opened: {error}")

# A config that cannot be used: everything that is wrong is said at once, and nothing is opened.
with TemporaryDirectory() as folder:
    wrong = Path(folder) / "config.ini"
    wrong.touch(mode=0o600)
    wrong.write_text("[Order_A]\nusername = me\nbroker_code = kraken2\nisin = IRO1FOLD0001\napi_key = x\n")
    try:
        load(wrong)
    except ConfigError as error:
        for problem in error.problems:
            print(f"Config: {problem}")
