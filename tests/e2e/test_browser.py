"""A real browser at the page of a real run: it works for who logged in, and another site can do nothing with that."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

ENTER = "\ue007"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PATIENCE_S = 90


class Browser:
    """Chromium, spoken to as the WebDriver standard has it."""

    def __init__(self, base, folder):
        self.http = requests.Session()
        self.http.trust_env = False
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        options = {"args": [*arguments, f"--user-data-dir={folder}"], "binary": shutil.which("chromium")}
        wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
        self.at = base
        self.at = f"{base}/session/{self.ask('session', {'capabilities': wanted})['sessionId']}"

    def ask(self, path, body=None):
        answer = self.http.request("GET" if body is None else "POST", f"{self.at}/{path}", json=body, timeout=90).json()
        assert not isinstance(answer["value"], dict) or "error" not in answer["value"], answer["value"]
        return answer["value"]

    def go(self, url):
        self.ask("url", {"url": url})

    def run(self, script):
        return self.ask("execute/async", {"script": script, "args": []})

    def text(self):
        return self.ask("execute/sync", {"script": "return document.body.innerText", "args": []})

    def type_into(self, name, keys):
        (element,) = until(lambda: self.ask("elements", {"using": "css selector", "value": f"input[name={name}]"}))
        self.ask(f"element/{element[ELEMENT]}/value", {"text": keys})

    def close(self):
        self.http.delete(self.at, timeout=30)
        self.http.close()


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)
    return found


@pytest.fixture
def browser(tmp_path_factory):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no chromium on this machine (on Debian: apt-get install chromium chromium-driver)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as driver:
        try:
            until(lambda: listens(port))
            with contextlib.closing(Browser(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("browser"))) as browser:
                yield browser
        finally:
            driver.terminate()


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture
def other_site():
    """Another site, which has the visitor's browser send what it likes."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            body = f"<body><form method=post action='{self.path[1:]}'></form><script>0</script>".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_page_works_for_its_user_and_other_sites_can_do_nothing_with_him(open_venue, browser, other_site):
    venue = open_venue("--accounts", "1", "--bell-in", "1s")
    process = venue.start("run", "--web", "--at", venue.in_seconds(70))
    said = ""
    while not (found := re.search(r"Watch at (http://127\.0\.0\.1:\d+)/\s+user (\S+) password (\S+)", said)):
        line = process.stderr.readline()
        assert line, said
        said += line
    page, user, password = found.groups()
    until(lambda: listens(int(page.rpartition(":")[2])))

    browser.go(page)
    assert browser.ask("url").startswith(f"{page}/login")
    browser.type_into("username", user)
    browser.type_into("password", password + ENTER)
    until(lambda: browser.ask("url") == f"{page}/")
    # It draws itself and fetches its figures: the rules that it bears do not stand in its own way.
    until(lambda: "statistics" in browser.text().lower())
    fetched = "const tell = arguments[0]; fetch('/stats/requests').then(a => a.json()).then(a => tell(a.state))"
    assert browser.run(fetched) in {"ready", "spawning", "running"}

    for name in ("127.0.0.1", "localhost"):
        browser.go(f"http://{name}:{other_site}/{page}/stop")
        read = f"const tell = arguments[0]; fetch('{page}/stats/requests', {{credentials: 'include'}}).then("
        assert browser.run(f"{read}a => a.text()).then(tell, e => tell('kept away'))") == "kept away"
        browser.ask("execute/sync", {"script": "document.forms[0].submit()", "args": []})
        until(lambda: "Refused" in browser.text())
    assert process.poll() is None
    assert venue.results()["orders"][0]["reason"] != "stopped before the bell"

    browser.go(f"{page}/")
    assert browser.run("const tell = arguments[0]; fetch('/stop', {method: 'POST'}).then(a => tell(a.status))") == 200
    until(
        lambda: venue.results()["orders"][0]["reason"] not in {None, "armed; waiting for the bell", "not reached yet"}
    )
    assert venue.submissions() == []
