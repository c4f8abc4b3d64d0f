"""The settings of an order manager and of a position monitor, as they stand in a config and as they are read.

What was YAML is config.ini now; docs/orders.md has a table of all keys.
"""

from example_config import example_config

from firstbell.config import load
from firstbell.oms import FallbackConfig, OrderValidator, PartialFillConfig, RetryConfig

SETTINGS = """
[validation]
min_price = 0.05
max_price = 10000
price_tolerance = 0.20
min_volume = 100
min_open_interest = 50

[risk]
max_order_value = 1000000

[retry]
strategy = exponential_backoff
max_attempts = 3
base_delay = 1s
max_delay = 30s
backoff_multiplier = 2.0

[fallback]
enabled = yes
max_price_adjustment = 0.05
min_quantity_reduction = 1
split_threshold = 100
manual_intervention_threshold = 5

[positions]
default_target_pnl = 2000.0
default_stop_loss = -1000.0
max_daily_loss = -5000.0
position_timeout_hours = 6
monitoring_interval = 30s
price_update_interval = 10s
auto_close_on_target = yes
auto_close_on_stop = yes
"""

with example_config(__doc__, SETTINGS) as (config, _):
    settings = load(config)
    print(RetryConfig.of(settings.retry))
    print(FallbackConfig.of(settings.fallback))
    print(PartialFillConfig.of(settings.partial_fills))
    print(OrderValidator(settings).bounds)
    for name, value in settings.positions:
        print(f"[positions] {name} = {value}")
