"""The page of a run: Locust's own, with the log-in, the wall and the patience around it."""

from __future__ import annotations

from argparse import Namespace
from ipaddress import ip_address

import pytest
from sniper_locust import Environment

from firstbell.errors import RunError
from firstbell.sniper.page import USER, dress
from firstbell.sniper.page_password import (
    FREE_TRIES,
    LONGEST_WAIT_S,
    PASSWORD,
    PagePassword,
    Patience,
    refuse_open_page,
)

OWN = "correct horse battery"
HERE = "http://127.0.0.1:8089"
EVERYWHERE = str(ip_address(0))


class Stopped:
    def __init__(self):
        self.stops = 0

    def stop(self):
        self.stops += 1


@pytest.fixture
def run():
    return Stopped()


@pytest.fixture
def page(monkeypatch, run, stepped_clock, capsys):
    """Make dressed pages; each gives fresh clients."""
    monkeypatch.setenv(PASSWORD, OWN)
    # Locust reads the command line again for its page.
    monkeypatch.setattr("sys.argv", ["locust"])

    def make(host="127.0.0.1", base="", **given):
        environment = Environment(user_classes=[])
        environment.create_local_runner()
        environment.parsed_options = Namespace(
            web_base_path=base,
            web_host_display_name="watch.example",
            num_users=1,
            spawn_rate=1,
            stats_history_enabled=False,
            run_time=None,
        )
        web_ui = environment.create_web_ui(
            host=host, port=8089, web_login=True, delayed_start=True, web_base_path=base or None, **given
        )
        dress(web_ui, run, stepped_clock)
        make.said = capsys.readouterr()
        return lambda: Client(web_ui.app.test_client())

    return make


class Client:
    """A browser, or somebody with a program."""

    def __init__(self, client):
        self.client = client

    def ask(self, method, path, *, at=HERE, headers=None, **more):
        return self.client.open(path, method=method, base_url=at, headers=headers or {}, **more)

    def log_in(self, password=OWN, *, at=HERE, base=""):
        return self.ask("POST", f"{base}/login_submit", at=at, data={"username": USER, "password": password})

    def is_in(self):
        return self.ask("GET", "/stats/requests").status_code == 200


WATCHED = ["/", "/stats/requests", "/stats/requests/csv", "/stats/failures/csv", "/exceptions", "/exceptions/csv"]
WATCHED += ["/tasks", "/logs", "/stats/report", "/worker-count"]


@pytest.mark.parametrize("path", WATCHED)
def test_a_stranger_sees_nothing_and_who_logged_in_sees_all(page, path):
    new = page()
    answer = new().ask("GET", path)
    assert (answer.status_code, answer.location.split("?")[0]) == (302, "/login")
    client = new()
    assert client.log_in().location == "/"
    assert client.ask("GET", path).status_code == 200


CONTROLS = [
    ("POST", "/swarm", {"user_count": "9", "spawn_rate": "9"}),
    ("POST", "/swarm", {"user_count": "1", "spawn_rate": "1", "host": "http://127.0.0.1:9"}),
    ("GET", "/swarm", None),
    ("POST", "/stats/reset", {}),
    ("GET", "/stats/reset", None),
    ("POST", "/user", {}),
    ("POST", "/", {}),
    ("PUT", "/stats/requests", {}),
    ("DELETE", "/stop", None),
    ("POST", "/login", {}),
    ("OPTIONS", "/swarm", None),
]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(("method", "path", "form"), CONTROLS)
def test_nobody_starts_resizes_aims_or_resets(page, run, method, path, form, known):
    client = page()()
    if known:
        client.log_in()
    assert client.ask(method, path, data=form).status_code in ({403} if method != "DELETE" else {403, 405})
    assert run.stops == 0


def test_who_logged_in_stops_by_post_and_nobody_else(page, run):
    new = page()
    assert new().ask("POST", "/stop").status_code == 302
    client = new()
    client.log_in()
    assert client.ask("GET", "/stop").status_code == 405
    assert run.stops == 0
    assert client.ask("POST", "/stop", headers={"Origin": HERE}).status_code == 200
    assert run.stops == 1


ELSEWHERE = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:9999"},
    {"Origin": "http://localhost:8089"},
    {"Origin": "http://127.0.0.1:8089.evil.example"},
    {"Origin": "http://evil@127.0.0.1:8090"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": HERE},
]


@pytest.mark.parametrize("headers", ELSEWHERE)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/stop"), ("GET", "/"), ("POST", "/login_submit"), ("GET", "/login")]
)
def test_other_sites_reach_nothing_with_his_session(page, run, headers, method, path):
    client = page()()
    client.log_in()
    answer = client.ask(method, path, headers=headers, data={"username": USER, "password": OWN})
    assert answer.status_code == 403
    assert run.stops == 0


@pytest.mark.parametrize(
    "name", ["evil.example:8089", "127.0.0.1.evil.example", "192.0.2.7:8089", "", "[", "localhost.evil"]
)
def test_the_page_goes_by_no_other_name(page, name):
    client = page()()
    answer = client.ask("GET", "/login", headers={"Host": name})
    assert answer.status_code == 403


@pytest.mark.parametrize("name", ["127.0.0.1:8089", "localhost:9000", "[::1]:8089", "LOCALHOST", "watch.example:8089"])
def test_the_page_goes_by_the_names_of_this_machine(page, name):
    assert page()().ask("GET", "/login", headers={"Host": name}).status_code == 200


def test_beyond_this_machine_it_goes_by_addresses_and_told_names(page):
    client = page(EVERYWHERE, tls_cert="cert.pem", tls_key="key.pem")()
    for name, status in (("192.0.2.7:8089", 200), ("watch.example", 200), ("evil.example", 403)):
        assert client.ask("GET", "/login", headers={"Host": name}).status_code == status


@pytest.mark.parametrize("path", ["/login", "/", "/assets/none.js", "/nowhere", "/stats/requests"])
def test_every_answer_bears_its_rules_and_opens_nothing(page, path):
    client = page()()
    client.log_in()
    for answer in (client.ask("GET", path), client.ask("GET", path, headers={"Origin": "http://evil.example"})):
        assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-")]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_session_is_kept_from_scripts_and_other_sites(page):
    for given, secure in (({}, False), ({"tls_cert": "c", "tls_key": "k"}, True)):
        cookie = page(**given)().log_in().headers["Set-Cookie"]
        assert cookie.startswith("firstbell-8089=")
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert ("Secure" in cookie) is secure


def test_a_session_of_another_run_or_made_up_opens_nothing(page):
    old = page()()
    cookie = old.log_in().headers["Set-Cookie"].split(";")[0]
    assert old.is_in()
    new = page()
    for made_up in (cookie, "firstbell-8089=eyJfdXNlcl9pZCI6ImZpcnN0YmVsbCJ9.aR0.AAAA", "session=1"):
        assert new().ask("GET", "/stats/requests", headers={"Cookie": made_up}).status_code == 302


def test_a_stolen_session_is_worth_nothing_in_another_browser(page):
    new = page()
    client = new()
    cookie = client.log_in().headers["Set-Cookie"].split(";")[0]
    thief = new().ask("GET", "/stats/requests", headers={"Cookie": cookie, "User-Agent": "thief"})
    assert thief.status_code == 302


@pytest.mark.parametrize("after", ["http://evil.example/", "//evil.example", "/\\evil.example"])
def test_the_log_in_leads_nowhere_else(page, after):
    client = page()()
    client.ask("GET", f"/login?next={after}")
    answer = client.ask("POST", f"/login_submit?next={after}", data={"username": USER, "password": OWN})
    assert answer.location == "/"


def test_under_a_path_of_its_own_it_is_the_same(page, run):
    client = page(base="/bell")()
    assert client.ask("POST", "/bell/swarm", data={"host": "x"}).status_code == 403
    assert client.log_in(base="/bell").location == "/bell/"
    assert client.ask("GET", "/bell/stats/requests").status_code == 200
    assert client.ask("POST", "/bell/stop").status_code == 200
    assert run.stops == 1


@pytest.mark.parametrize("way", ["form", "header"])
def test_who_guesses_waits_ever_longer_and_the_right_password_waits_with_him(page, stepped_clock, way):
    new = page()

    def guess(password):
        if way == "form":
            return new().log_in(password)
        return new().client.get("/stats/requests", base_url=HERE, auth=(USER, password))

    for _ in range(FREE_TRIES + 1):
        assert guess("wrong").status_code == 302
    assert new().log_in().status_code == 429
    assert new().client.get("/stats/requests", base_url=HERE, auth=(USER, OWN)).status_code == 302
    stepped_clock.sleep(1.01)
    assert guess("wrong").status_code == 302
    stepped_clock.sleep(1.01)
    assert int(new().log_in().headers["Retry-After"]) == 1
    stepped_clock.sleep(1.0)
    assert guess(OWN).status_code in {200, 302}
    assert new().log_in().location == "/"


def test_patience_is_kept_address_by_address_and_bounded(stepped_clock):
    patience = Patience(stepped_clock)
    for _ in range(40):
        patience.was_wrong("2001:db8::1")
    assert patience.wait_s("2001:db8::ffff") == LONGEST_WAIT_S
    assert patience.wait_s("2001:db8:0:1::1") == patience.wait_s("192.0.2.1") == 0
    for number in range(5000):
        patience.was_wrong(str(ip_address(number)))
    assert patience.wait_s("2001:db8::1") == 0
    patience.was_wrong(None)
    patience.was_wrong("@")


@pytest.mark.parametrize("host", [EVERYWHERE, "", "::", "192.0.2.7", "trader.example"])
def test_beyond_this_machine_it_wants_a_password_and_encryption(host):
    with pytest.raises(RunError, match=f"set {PASSWORD}"):
        refuse_open_page(host, encrypted=True, environ={})
    with pytest.raises(RunError, match="--tls-cert"):
        refuse_open_page(host, encrypted=False, environ={PASSWORD: OWN})
    with pytest.raises(RunError, match="shorter than"):
        refuse_open_page(host, encrypted=True, environ={PASSWORD: "short"})
    refuse_open_page(host, encrypted=True, environ={PASSWORD: OWN})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_this_machine_it_wants_neither(host):
    refuse_open_page(host, encrypted=False, environ={})


def test_a_fresh_password_is_said_once_and_ones_own_never(page, monkeypatch):
    page()
    assert OWN not in page.said.err
    assert "password of your own" in page.said.err
    monkeypatch.delenv(PASSWORD)
    new = page()
    fresh = page.said.err.split("password ")[1].strip()
    assert page.said.out == ""
    assert len(fresh) >= 16
    assert fresh not in repr(PagePassword.of({PASSWORD: fresh}))
    client = new()
    assert client.log_in(OWN).location == "/login"
    assert client.log_in(fresh).location == "/"


def test_a_page_without_a_log_in_is_not_opened(run, stepped_clock, monkeypatch):
    monkeypatch.setattr("sys.argv", ["locust"])
    environment = Environment(user_classes=[])
    environment.create_local_runner()
    web_ui = environment.create_web_ui(host="127.0.0.1", port=8089, delayed_start=True)
    with pytest.raises(RunError, match="--web-login"):
        dress(web_ui, run, stepped_clock)
