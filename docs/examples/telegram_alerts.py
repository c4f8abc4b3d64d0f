"""Be told by Telegram of confirmed and failed orders. Here a server of this machine plays Telegram, and prints all.

For the real one, leave api_url out; docs/alerts.md says how to get a token and the chat's number.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from example_config import example_config

from firstbell.cli.alerting import tell_orders
from firstbell.oms import OrderDesk, OrderRequest


class Telegram(BaseHTTPRequestHandler):
    """The one call that alerts make."""

    def do_POST(self) -> None:
        """Print a message, and say that it was taken."""
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(f"--- to chat {said['chat_id']}\n{said['text']}")
        answer = json.dumps({"ok": True, "result": {"message_id": 1}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_said: object) -> None:
        """The token stands in every address, so addresses are not printed."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Telegram)
Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
TELEGRAM = f"""
[telegram]
bot_token = 110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0
chat_id = 4242
api_url = http://127.0.0.1:{server.server_port}

[fallback]
enabled = no
"""
LIMIT = {"instrument": "IRO1FOLD0001", "order_type": "limit", "price": 4870}

with example_config(__doc__, TELEGRAM) as (config, live), OrderDesk.open(config, live=live) as desk:
    # `firstbell run` and all `firstbell orders` commands tell by themselves; a script asks for it once.
    tell_orders(desk.office)
    account = desk.accounts[0]
    confirmed = desk.orders.place(OrderRequest(account=account, side="buy", quantity=2500, **LIMIT))
    failed = desk.orders.place(OrderRequest(account=account, side="buy", quantity=300_000, **LIMIT))
    print(f"Placed: {confirmed.status}; more than there is money for: {failed.status}")
    # As a desk closes, what is still to be told is waited for, for three seconds.
server.shutdown()
