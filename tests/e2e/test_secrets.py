"""Unmistakable secrets, a host that blurts them out, and a search of every place to which they could have come."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests
from e2e_hostile import COOKIE, Hostile, spellings
from e2e_venue import environment

from firstbell.sniper.dealing.sealing import new_key

PASSWORDS = ('Pl4nted/"گذرواژه\\%&+<1>', "Pl4nted-two=?;#'@:x")
BOT = "110201543:AAHpl4ntedTcvCH1vGWJxfSeofSAs0K5PALDsaw"
WEB = "w3b-pl4nted-password"
JOURNAL = "j0urnal-pl4nted/pw"
KEY = new_key()
PATIENCE_S = 90


class Sniffer:
    """Every packet on the loopback device, where this user may listen there."""

    def __init__(self):
        self.packets, self._open = [], True
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        except (PermissionError, AttributeError, OSError):
            self._socket = None
            return
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self):
        while self._open:
            with contextlib.suppress(TimeoutError):
                self.packets.append(self._socket.recv(70_000))

    def of_port(self, port):
        """What went to and from one port."""
        found = []
        for packet in self.packets:
            if packet[12:14] != b"\x08\x00" or packet[23] != socket.IPPROTO_TCP:
                continue
            start = 14 + (packet[14] & 15) * 4
            if port in struct.unpack("!HH", packet[start : start + 4]):
                found.append(packet)
        return b"".join(found)

    def close(self):
        if self._open and self._socket is not None:
            self._open = False
            self._thread.join()
            self._socket.close()


@pytest.fixture
def sniffer():
    sniffer = Sniffer()
    yield sniffer
    sniffer.close()


@pytest.fixture
def hostile(open_venue, tmp_path_factory):
    """An exchange behind a hostile host, a config that leads there, and a captcha command that notes what it sees."""
    venue = open_venue("--accounts", "2", "--bell-in", "1s")
    known = dict(zip(PASSWORDS, (account["password"] for account in venue.said["accounts"]), strict=True))
    host = Hostile(venue.said["address"], known)
    host.known = {*PASSWORDS, BOT, WEB, KEY}
    notes = tmp_path_factory.mktemp("solver")
    solver = notes / "solver.py"
    solver.write_text(
        "import base64, json, os, sys, urllib.request\n"
        f"open({str(notes / 'environ')!r}, 'a').write(repr(dict(os.environ)) + repr(sys.argv))\n"
        "picture = base64.b64encode(sys.stdin.buffer.read()).decode()\n"
        f"request = urllib.request.Request('{venue.said['practice_address']}/practice/captcha',\n"
        "    data=json.dumps({'base64': picture}).encode(), headers={'Content-Type': 'application/json'})\n"
        "print(urllib.request.urlopen(request).read().decode())\n"
    )
    text = venue.config.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^solver = url\nurl = .*$", f"solver = command\ncommand = {sys.executable} {solver}", text)
    text = re.sub(r"(?m)^(\w+_url) = .*$", rf"\1 = {host.address}", text)
    for planted, real in known.items():
        text = text.replace(f"password = {real}", f"password = {planted}")
    text += f"\n[telegram]\nbot_token = {BOT}\nchat_id = 1\napi_url = {host.address}\n"
    venue.config.write_text(text, encoding="utf-8")
    venue.hostile, venue.notes = host, notes
    yield venue
    host.shutdown()
    host.server_close()


def hits(places, secrets):
    """Where which secret stands, in whichever spelling, and between what."""
    spelt = [spelling.encode() for secret in secrets for spelling in spellings(secret)]
    # A captcha's answer of five digits is a part of many a number.
    sought = re.compile(b"|".join(rb"(?<!\d)%s(?!\d)" % each if each.isdigit() else re.escape(each) for each in spelt))
    return [
        (name, data[max(0, found.start() - 40) : found.end() + 20])
        for name, data in places.items()
        for found in sought.finditer(data)
    ]


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def until(condition, process, said):
    """Wait for it, as long as the run goes on; `said` is what the run goes on saying."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, f"the run ended too soon: {process.poll()}\n{''.join(said)}"
        assert time.monotonic() < end, f"it did not come to that\n{''.join(said)}"
        time.sleep(0.1)


def watched(process):
    """The page of a running `run --web`, logged in, and what the run has said so far."""
    said = ""
    while not (found := re.search(r"Watch at (http://127\.0\.0\.1:\d+)/", said)):
        line = process.stderr.readline()
        assert line, said
        said += line
    page = requests.Session()
    page.trust_env = False
    page.auth = ("firstbell", WEB)
    return page, found[1], said


PAGES = ["/", "/stats/requests", "/stats/requests/csv", "/stats/failures/csv", "/exceptions", "/exceptions/csv"]
PAGES += ["/tasks", "/logs", "/stats/report", "/worker-count", "/login"]


AFTERWARDS = [
    ["check", "-vv"],
    ["preflight", "--json", "-vv"],
    ["warmup", "--json"],
    ["orders", "list"],
    ["orders", "reconcile", "--json"],
    ["results"],
]
MADE = [
    ".firstbell-practice/logs/firstbell.log",
    ".firstbell-practice/logs/orders.log",
    ".firstbell-practice/journal.db",
]
MADE += ["report.html", "stats_stats.csv", "stats_failures.csv", "stats_exceptions.csv", "stats_stats_history.csv"]


class Processes:
    """All command lines of a run's processes, and the port on which its master listens."""

    def __init__(self, process):
        self.process, self.lines, self.port = process, set(), None

    def look(self):
        # Any of them may have ended by now; what that means is not to be judged here.
        with contextlib.suppress(psutil.NoSuchProcess):
            self._look_at(psutil.Process(self.process.pid).children(recursive=True))

    def _look_at(self, children):
        for child in children:
            with contextlib.suppress(psutil.Error):
                arguments = child.cmdline()
                self.lines.add(" ".join(arguments))
                if "--master-port" in arguments:
                    self.port = int(arguments[arguments.index("--master-port") + 1])


def run_and_watch(venue, sniffer, env):
    """A run with its page, its reports and two workers; everything that could be seen of it from outside."""
    report = ["--html", "report.html", "--csv", "stats", "--csv-full-history"]
    at = venue.in_seconds(16)
    process = venue.start("run", "-vv", "--web", "--processes", "2", "--at", at, "--", *report, **env)
    page, address, said = watched(process)
    rest, places, processes = [], {}, Processes(process)
    reader = threading.Thread(target=lambda: rest.extend(process.stderr))
    reader.start()

    def all_known():
        processes.look()
        with contextlib.suppress(ValueError):
            return all(row["outcome"] == "accepted" for row in venue.results()["orders"])

    with page:
        until(all_known, process, rest)
        until(lambda: page.get(f"{address}/stats/requests", timeout=20).json()["stats"], process, rest)
        for path in PAGES:
            answer = page.get(f"{address}{path}", timeout=20)
            assert answer.status_code == 200, path
            places[f"page {path}"] = answer.content + str(answer.headers).encode()
    os.killpg(process.pid, signal.SIGINT)
    places["run stdout"] = process.stdout.read().encode()
    process.wait(timeout=100)
    reader.join()
    places["run stderr"] = (said + "".join(rest)).encode()
    places["process list"] = "\n".join(processes.lines).encode()
    sniffer.close()
    if sniffer.packets:
        places["traffic between the processes"] = sniffer.of_port(processes.port)
        assert len(places["traffic between the processes"]) > 2000
    return places


def tokens_in(cache):
    with contextlib.closing(sqlite3.connect(cache)) as db:
        values = " ".join(str(value) for (value,) in db.execute("SELECT value FROM Cache"))
    return set(re.findall(r"[\w-]+\.[\w-]+\.[\w-]+", values))


def test_planted_secrets_are_found_nowhere(hostile, sniffer):
    env = {"FIRSTBELL_KEY": KEY, "FIRSTBELL_WEB_PASSWORD": WEB, "TELEGRAM_BOT_TOKEN": BOT}
    places = run_and_watch(hostile, sniffer, env)
    shown = ["orders", "show", hostile.results()["orders"][0]["client_order_id"], "--json"]
    with ThreadPoolExecutor(3) as pool:
        for done in pool.map(lambda command: hostile.firstbell(*command, **env), [*AFTERWARDS, shown]):
            assert done.returncode in {0, 1}, done.stderr
            places[" ".join(done.args[5:])] = (done.stdout + done.stderr).encode()
    places["environment of the captcha command"] = (hostile.notes / "environ").read_bytes()
    files = {name: data for name, data in files_below(hostile.folder).items() if name != hostile.config.name}
    cache = {name: data for name, data in files.items() if "/cache/" in name}
    places |= {name: data for name, data in files.items() if name not in cache}
    assert {*MADE} <= {*places}
    assert any(name.endswith("orders.json") for name in places)

    tokens = tokens_in(hostile.folder / ".firstbell-practice" / "cache" / "cache.db")
    assert len(tokens) == 2
    assert {*PASSWORDS, BOT, WEB, KEY, *tokens} < hostile.hostile.told
    assert hostile.hostile.blurted > 5
    secrets = sorted({*hostile.hostile.told, *tokens, COOKIE})
    assert len(places) >= 35
    assert hits(places, secrets) == []
    # Tokens stand in the cache, and nothing else does.
    assert hits(cache, [secret for secret in secrets if secret not in tokens and len(secret) > 8]) == []
    # The search finds what is there.
    assert hits(cache, tokens)
    assert hits({"config": hostile.config.read_bytes()}, PASSWORDS)
    assert not [path for path in hostile.folder.rglob("*") if path.stat().st_mode & 0o077]
    spellings_of_all = sum(len(spellings(secret)) for secret in secrets)
    sys.stdout.write(
        f"{len(places)} places searched for {len(secrets)} secrets in {spellings_of_all} spellings: 0 hits\n"
    )


def test_a_journals_password_is_not_said_when_it_cannot_be_reached(open_venue):
    venue = open_venue("--accounts", "1", "--bell-in", "1s")
    venue.edit(
        "[firstbell]\n", f"[firstbell]\njournal = postgresql://fb:{JOURNAL.replace('/', '%2F')}@127.0.0.1:1/fb\n"
    )
    places = {}
    for command in (["orders", "list", "-vv"], ["check", "--json"]):
        done = venue.firstbell(*command)
        places[command[0]] = (done.stdout + done.stderr).encode()
        assert done.returncode == (0 if command[0] == "check" else 2), done.stderr
    places |= {name: data for name, data in files_below(venue.folder).items() if name != venue.config.name}
    assert hits(places, [JOURNAL]) == []


BROKEN = """
import sys, threading
import requests
from firstbell.log import guard_tracebacks, hide, set_up
from pathlib import Path
secret = sys.stdin.read()
hide(secret)
if {logged}:
    set_up(Path("logs"), console=True)
else:
    guard_tracebacks()
def fail():
    url = "http://127.0.0.1:1/" + requests.utils.quote(secret, safe="") + "?token=" + requests.utils.quote(secret)
    try:
        requests.get(url, timeout=2)
    except requests.RequestException as error:
        raise RuntimeError({{"password": secret}}, url, secret.encode()) from error
thread = threading.Thread(target=fail)
thread.start()
thread.join()
class Dying:
    def __del__(self):
        fail()
Dying()
fail()
"""


@pytest.mark.parametrize("logged", [False, True])
@pytest.mark.parametrize("secret", PASSWORDS)
def test_tracebacks_and_exceptions_of_requests_hold_no_secret(tmp_path, secret, logged):
    done = subprocess.run(
        [sys.executable, "-c", BROKEN.format(logged=logged)],
        input=secret.encode(),
        capture_output=True,
        cwd=tmp_path,
        env=environment(),
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count(b"RuntimeError") == 3, done.stderr
    assert b"ConnectionError" in done.stderr
    log = tmp_path / "logs" / "firstbell.log"
    places = {"stderr": done.stderr, "stdout": done.stdout, "log": log.read_bytes() if logged else b""}
    assert hits(places, [secret]) == []
    assert (b"ConnectionError" in places["log"]) is logged
    assert Path(tmp_path / "logs").exists() is logged
