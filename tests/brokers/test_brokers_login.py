import contextlib
import hashlib
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from brokers_platform import ANSWER, CAPTCHA, LOGIN, MONEY, PASSWORD, WHO, House, Hurried, Platform, Solver, jwt
from brokers_wire import Request, http

from firstbell.brokers import token_life
from firstbell.brokers.captcha import Nobody
from firstbell.brokers.courtesy import Courtesy
from firstbell.brokers.shelf import Shelf
from firstbell.cache import Kind, TtlCache
from firstbell.clock import SystemClock
from firstbell.errors import (
    BrokerError,
    CaptchaError,
    NoAnswer,
    NotSent,
    RateLimited,
    Refused,
    TokenEnded,
    WrongCaptcha,
    WrongPassword,
)
from firstbell.log import redact


def failed(code: int, message: str = "نه") -> bytes:
    return http(200, {"errorCode": code, "errorMessage": message, "isSuccess": False, "token": None})


def test_a_log_in_brings_captcha_answer_and_password_together(house: House, platform: Platform) -> None:
    token = house.broker().login()
    assert token.text == platform.tokens[0]
    assert [request.path for request in platform.server.requests] == [CAPTCHA, LOGIN]
    (login,) = platform.calls(LOGIN)
    assert login.json == {
        "loginName": "user",
        "password": PASSWORD,
        "captcha": {"hash": "h", "salt": "s", "value": ANSWER},
    }
    assert "authorization" not in login.headers
    assert house.solver.asked == ["Order_user"]
    assert house.clock.pauses == [1.0]
    assert house.cache.stats().kinds[Kind.TOKEN].misses == 1


def test_one_log_in_for_everybody_who_asks(house: House, platform: Platform) -> None:
    """Sections that share a login, threads that share a broker, and later openers: one captcha, one token."""
    brokers = [house.broker() for _ in range(4)]
    tokens: list[str] = []
    threads = [
        threading.Thread(target=lambda broker=broker: tokens.append(broker.login().text))
        for broker in brokers
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert tokens == [platform.tokens[0]] * 16
    assert len(platform.calls(CAPTCHA)) == len(platform.calls(LOGIN)) == 1
    assert house.broker().login().text == platform.tokens[0]
    with TtlCache(house.state_dir / "cache") as cache:
        house.cache.close()
        house.cache = cache
        assert house.broker().login().text == platform.tokens[0]
    assert len(platform.calls(LOGIN)) == 1


PROCESS = """
import sys
from pathlib import Path
from brokers_platform import House, Solver, Hurried
class Elsewhere:
    url = sys.argv[2]
house = House(Path(sys.argv[1]), Elsewhere())
print(house.broker().login().text)
house.cache.close()
"""


def test_one_log_in_for_all_processes(house: House, platform: Platform) -> None:
    paths = [str(Path(__file__).parent), *filter(None, sys.path)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(house.state_dir), platform.url],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": ":".join(paths)},
        )
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[0] for process in running]
    assert said == [f"{platform.tokens[0]}\n"] * 3
    assert len(platform.calls(CAPTCHA)) == len(platform.calls(LOGIN)) == 1


def test_logins_do_not_share_tokens(house: House, platform: Platform) -> None:
    tokens = {house.broker(name, code=code).login().text for name in ("a", "b") for code in ("shahr", "bbi")}
    assert len(tokens) == len(platform.tokens) == 4


def test_a_token_of_one_host_is_never_sent_to_another(house: House, platform: Platform) -> None:
    """As after a rehearsal, whose config leads the same accounts to another host."""
    house.broker().login()
    other = Platform(platform.serve)
    house.platform = other
    house.broker().buying_power()
    assert all(platform.tokens[0] not in str(request.headers) for request in other.server.requests)
    assert len(other.tokens) == 1


def test_gs_waits_between_captcha_and_log_in(house: House) -> None:
    house.broker(code="gs").login()
    assert house.clock.pauses == [1.0, 2.0]


def test_captchas_of_one_host_are_a_second_apart(house: House, platform: Platform) -> None:
    """Measured for real, from the end of one to the beginning of the next, by three accounts at once."""
    began: list[float] = []
    ended: list[float] = []

    def captcha(request: Request) -> bytes:
        began.append(time.monotonic())
        answer = platform._usual(request)
        ended.append(time.monotonic())
        return answer

    platform.says[CAPTCHA] = [captcha] * 3
    start = time.monotonic()
    clock = SystemClock()
    threads = [threading.Thread(target=house.broker(name, clock=clock).login) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # Whoever serves the request may be late by some milliseconds on a busy machine.
    assert began[0] - start >= 0.95
    assert began[1] - ended[0] >= 0.95
    assert began[2] - ended[1] >= 0.95


def test_a_captcha_is_fetched_when_its_reader_is_free(house: House, platform: Platform) -> None:
    class OneByOne(Solver):
        def __init__(self) -> None:
            super().__init__()
            self.turns: list[tuple[str, int]] = []

        @contextlib.contextmanager
        def turn(self, *, account: str) -> Iterator[None]:
            self.turns.append((account, len(platform.calls(CAPTCHA))))
            yield

    house.solver = OneByOne()
    house.broker("a").login()
    house.broker("b").login()
    assert house.solver.turns == [("Order_a", 0), ("Order_b", 1)]


# What is refused


def test_a_wrong_password_is_tried_once_and_not_again(house: House, platform: Platform) -> None:
    platform.says[LOGIN] = [failed(3000)] * 5
    with pytest.raises(WrongPassword, match="3000") as caught:
        house.broker().login()
    assert PASSWORD not in str(caught.value)
    for _ in range(3):
        with pytest.raises(WrongPassword, match="a short while ago"):
            house.broker().login()
    assert len(platform.calls(CAPTCHA)) == len(platform.calls(LOGIN)) == 1


def test_a_changed_password_is_tried_at_once(house: House, platform: Platform) -> None:
    platform.says[LOGIN] = [failed(3000)]
    with pytest.raises(WrongPassword):
        house.broker(password="old").login()
    assert house.broker(password="new").login().text == platform.tokens[0]
    assert len(platform.calls(LOGIN)) == 2


def test_a_refused_password_is_another_accounts_right_one(house: House, platform: Platform) -> None:
    platform.says[LOGIN] = [failed(3000)]
    with pytest.raises(WrongPassword):
        house.broker("a", password="same").login()
    assert house.broker("b", password="same").login()


def test_what_is_remembered_of_a_password_tells_nobody(house: House, platform: Platform) -> None:
    platform.says[LOGIN] = [failed(3000)]
    with pytest.raises(WrongPassword):
        house.broker().login()
    url = platform.url
    noted = house.cache.peek(Kind.REFUSED_LOGIN, f"shahr\x1f{url}\x1f{url}\x1fuser")
    assert isinstance(noted, str)
    assert len(noted) == 8
    assert noted != hashlib.blake2b(PASSWORD.encode(), digest_size=4).hexdigest()
    house.cache.close()
    key = house.state_dir / "installation.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32
    for path in house.state_dir.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_wrong_captcha_gets_a_new_one_a_few_times(house: House, platform: Platform) -> None:
    platform.says[LOGIN] = [failed(-1000), failed(-1000)]
    assert house.broker().login().text == platform.tokens[0]
    assert len(platform.calls(CAPTCHA)) == len(platform.calls(LOGIN)) == 3
    assert house.clock.pauses == [1.0] * 3
    platform.says[LOGIN] = [failed(-1000)] * 9
    with pytest.raises(WrongCaptcha):
        house.broker("other").login()
    assert len(platform.calls(LOGIN)) == 6


def test_after_wrong_captchas_the_host_is_spared_ever_longer(house: House, platform: Platform) -> None:
    platform.says[LOGIN] = [failed(-1000)] * 18
    broker, clock = house.broker(), house.clock
    now_ns = clock.monotonic_ns()
    clock.monotonic_ns = lambda: now_ns  # type: ignore[method-assign]
    tried = []
    began_ns = now_ns
    while True:
        before, pauses = len(platform.calls(LOGIN)), len(clock.pauses)
        second = (now_ns - began_ns) // 1_000_000_000
        try:
            token = broker.login()
        except WrongCaptcha:
            # A second of courtesy before each captcha, and what is waited out of a pause before the first.
            tried.append((second, [pause for pause in clock.pauses[pauses:] if pause != 1.0]))
        except CaptchaError:
            assert len(platform.calls(LOGIN)) == before
        else:
            break
        now_ns += 1_000_000_000
    # A bell may be near: short pauses are waited out, longer ones are said.
    assert tried == [(0, []), (1, []), (2, []), (3, [3.0]), (4, [7.0]), (10, [10.0])]
    assert token.text == platform.tokens[0]


@pytest.mark.parametrize(
    "said",
    [http(500, b""), http(200, b"<html>"), failed(77), http(302, b"", Location="/x"), http(200, {"token": None}), None],
)
def test_what_may_pass_is_tried_again_with_pauses(house: House, platform: Platform, said: bytes | None) -> None:
    platform.says[LOGIN] = [said, said]
    assert house.broker().login().text == platform.tokens[0]
    assert house.clock.pauses == [1.0, 1.0, 1.0, 2.0, 1.0]


@pytest.mark.parametrize("path", [CAPTCHA, LOGIN])
def test_what_does_not_pass_is_given_up(house: House, platform: Platform, path: str) -> None:
    platform.says[path] = [http(503, b"")] * 9
    with pytest.raises(NoAnswer, match="503"):
        house.broker().login()
    assert len(platform.calls(path)) == 3


def test_a_refusal_that_nobody_knows_is_said_in_the_brokers_words(house: House, platform: Platform) -> None:
    platform.says[LOGIN] = [failed(77, "حساب مسدود است")] * 3
    with pytest.raises(Refused, match="77 حساب مسدود است"):
        house.broker().login()


def test_nobody_at_home(house: House, platform: Platform) -> None:
    broker = house.broker()
    platform.server.close()
    with pytest.raises(NotSent):
        broker.login()


def test_an_unsolved_captcha_is_not_tried_again(house: House, platform: Platform) -> None:
    house.solver.answer = "not an answer"
    with pytest.raises(CaptchaError):
        house.broker().login()
    assert len(platform.calls(CAPTCHA)) == 1
    assert platform.calls(LOGIN) == []


# Pauses


@pytest.mark.parametrize("path", [CAPTCHA, LOGIN])
def test_a_long_pause_is_kept_by_everybody_on_that_host(house: House, platform: Platform, path: str) -> None:
    platform.says[path] = [http(429, b"", Retry_After="120")]
    with pytest.raises(RateLimited, match="120 s") as caught:
        house.broker().login()
    assert caught.value.retry_after == 120
    asked = len(platform.server.requests)
    for name in ("user", "other"):
        with pytest.raises(RateLimited, match="has asked for a pause") as again:
            house.broker(name).login()
        assert 100 < (again.value.retry_after or 0) <= 120
    assert len(platform.server.requests) == asked
    house.cache.clear()
    assert house.broker().login()


def test_who_queues_for_a_captcha_learns_of_the_pause_in_time(house: House, platform: Platform) -> None:
    queueing, refused = threading.Event(), threading.Event()

    class Queueing(Hurried):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if seconds >= 1:
                # The second before its captcha is long enough for the other's refusal to come.
                queueing.set()
                refused.wait(20)

    def captcha(request: Request) -> bytes:
        del request
        second.start()
        queueing.wait(20)
        return http(429, b"", Retry_After="60")

    errors: list[BrokerError] = []

    def log_in() -> None:
        with pytest.raises(RateLimited) as caught:
            house.broker("second", clock=Queueing()).login()
        errors.append(caught.value)

    second = threading.Thread(target=log_in)
    platform.says[CAPTCHA] = [captcha]
    with pytest.raises(RateLimited):
        house.broker("first").login()
    refused.set()
    second.join(20)
    assert len(errors) == 1
    assert len(platform.calls(CAPTCHA)) == 1


def test_an_unsaid_pause_is_seven_minutes(house: House, platform: Platform) -> None:
    platform.says[CAPTCHA] = [http(429, b"")]
    with pytest.raises(RateLimited) as caught:
        house.broker().login()
    assert caught.value.retry_after == 420


def test_a_short_pause_is_waited_out(house: House, platform: Platform) -> None:
    host = platform.url.partition("://")[2]

    class Waiting(Hurried):
        """Waiting out the pause is what ends it."""

        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if seconds > 2:
                house.cache.forget(Kind.COOLDOWN, host)

    platform.says[LOGIN] = [http(429, b"", Retry_After="3")]
    clock = Waiting()
    assert house.broker(clock=clock).login()
    assert sum(2 < pause <= 3 for pause in clock.pauses) == 1
    assert len(platform.calls(LOGIN)) == 2


def test_a_pause_outlives_a_clock_that_was_set_back_no_longer_than_it_was(tmp_path: Path) -> None:
    class Moved(SystemClock):
        ahead_ns = 0

        def wall_ns(self) -> int:
            return super().wall_ns() + self.ahead_ns

    clock = Moved()
    with TtlCache(tmp_path / "cache") as cache:
        courtesy = Courtesy("host", Shelf(cache), tmp_path / "locks", clock)
        clock.ahead_ns = 3600 * 10**9
        courtesy.pause(60)
        clock.ahead_ns = 0
        with pytest.raises(RateLimited) as caught:
            courtesy.wait_for_pause()
    assert (caught.value.retry_after or 0) <= 61


# The life of a token

NOW = 1_795_238_000_000_000_000


def life(token: str) -> float:
    return token_life.ends_at(token, NOW).timestamp() - NOW / 1e9


@pytest.mark.parametrize(
    ("token", "seconds"),
    [
        ("opaque", 3570),
        ("a.b.c", 3570),
        (jwt(exp=NOW // 10**9 + 7200), 7170),
        (jwt(exp=NOW // 10**9 + 100), 90),
        (jwt(exp=NOW / 10**9 + 7200), 7170),
        (jwt(iat=1), 3570),
        (jwt(exp="soon"), 3570),
        (jwt(exp=True), 3570),
        (jwt(exp=-5), 3570),
        (jwt(exp=1 << 60), 3570),
        # Our clock is ahead of theirs: nobody gives out dead tokens.
        (jwt(exp=NOW // 10**9 - 60), 3570),
        (jwt(exp=NOW // 10**9 - 60, iat=NOW // 10**9 - 360), 270),
        (jwt(exp=NOW // 10**9 - 60, iat=NOW // 10**9 - 90_060), 3570),
    ],
)
def test_a_token_lives_as_it_says_and_else_an_hour(token: str, seconds: float) -> None:
    assert life(token) == pytest.approx(seconds, abs=1)


def test_a_token_is_used_until_its_end_and_then_there_is_a_new_one(house: House, platform: Platform) -> None:
    def login(request: Request) -> bytes:
        del request
        # Not before it is asked for: one that is over when it comes is taken for one of a host whose clock is behind.
        platform.tokens.append(jwt(exp=time.time() + 3.0))
        return http(200, {"token": platform.tokens[0], "errorCode": 0})

    platform.says[LOGIN] = [login]
    broker = house.broker()
    token = broker.login()
    assert token.text == platform.tokens[0]
    assert token.ends_at <= datetime.now(UTC) + timedelta(seconds=3)
    while datetime.now(UTC) < token.ends_at:
        time.sleep(0.01)
    assert broker.login().text == platform.tokens[1]


def test_a_planted_token_is_not_used(house: House, platform: Platform) -> None:
    host = platform.url
    key = f"shahr\x1f{host}\x1f{host}\x1fuser"
    soon = int((time.time() + 1000) * 1000)
    for planted in (
        "token",
        {"token": "x"},
        {"token": "x\r\nX: y", "ends_at_ms": soon},
        {"token": "", "ends_at_ms": soon},
        {"token": 7, "ends_at_ms": soon},
        {"token": "x", "ends_at_ms": "soon"},
        {"token": "x", "ends_at_ms": 10**30},
        {"token": "x", "ends_at_ms": 1000},
        [],
    ):
        house.cache.put(Kind.TOKEN, key, planted)  # type: ignore[arg-type] # JSON all the same
        assert house.broker().login().text == platform.tokens[-1]
    house.cache.put(Kind.TOKEN, key, {"token": "like-ours", "ends_at_ms": soon})
    assert house.broker().login().text == "like-ours"


def test_secrets_are_hidden_from_every_log(house: House, platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    platform.says[LOGIN] = [failed(-1000), failed(77)]
    with caplog.at_level("DEBUG"):
        token = house.broker().login()
    for secret in (PASSWORD, ANSWER, token.text):
        assert secret not in caplog.text
        assert secret not in redact(f"<{secret}>")
    assert token.text not in repr(token)


# A token that is refused


def test_a_refused_token_costs_one_log_in(house: House, platform: Platform) -> None:
    broker = house.broker()
    first = broker.login().text
    platform.refused_tokens.add(first)
    assert broker.buying_power(fresh=True) == 1_000_003_827
    assert broker.login().text == platform.tokens[1]
    assert len(platform.calls(LOGIN)) == 2


def test_a_token_that_is_refused_again_is_an_error(house: House, platform: Platform) -> None:
    platform.says[MONEY] = [http(401, b"")] * 9
    with pytest.raises(TokenEnded):
        house.broker().buying_power()
    assert len(platform.calls(MONEY)) == len(platform.calls(LOGIN)) == 2


def test_one_new_log_in_however_many_were_refused(house: House, platform: Platform) -> None:
    """All of them have the old token when it ends; one gets a new one, the others take it."""
    brokers = [house.broker() for _ in range(3)]
    platform.refused_tokens.add(brokers[0].login().text)
    for broker in brokers:
        broker.login()
    together = threading.Barrier(9)
    money: list[object] = []

    def ask(broker: object) -> None:
        together.wait(20)
        money.append(broker.buying_power(fresh=True))  # type: ignore[attr-defined] # a broker

    threads = [threading.Thread(target=ask, args=(broker,)) for broker in brokers for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert money == [1_000_003_827] * 9
    assert len(platform.calls(LOGIN)) == 2


def test_forgetting_spares_a_token_that_another_process_got_meanwhile(house: House, platform: Platform) -> None:
    mine, theirs = house.broker(), house.broker()
    mine.login()
    theirs.login()
    theirs.forget_token()
    newer = theirs.login().text
    mine.forget_token()
    assert mine.login().text == newer
    assert len(platform.calls(LOGIN)) == 2


def test_a_broker_that_gives_the_same_token_again_is_asked_for_it_once(house: House, platform: Platform) -> None:
    same = http(200, {"token": "the-same", "errorCode": 0})
    platform.tokens.append("the-same")
    platform.says[LOGIN] = [same, same]
    broker = house.broker()
    broker.login()
    broker.forget_token()
    for _ in range(3):
        assert broker.login().text == "the-same"
    assert len(platform.calls(LOGIN)) == 2


def test_whether_a_token_lives(house: House, platform: Platform) -> None:
    broker = house.broker()
    assert broker.token_lives() is False  # type: ignore[attr-defined] # beyond the protocol
    assert platform.server.requests == []
    broker.login()
    assert broker.token_lives() is True  # type: ignore[attr-defined] # likewise
    platform.refused_tokens.update(platform.tokens)
    assert broker.token_lives() is False  # type: ignore[attr-defined] # likewise
    assert len(platform.calls(WHO)) == 2
    assert len(platform.calls(LOGIN)) == 1
    platform.says[WHO] = [http(500, b"")]
    with pytest.raises(BrokerError):
        broker.token_lives()  # type: ignore[attr-defined] # likewise


# Without a cache


def test_a_cache_that_fails_costs_what_it_would_have_saved(
    house: House, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    broker = house.broker()
    house.cache.close()
    for path in (house.state_dir / "cache").iterdir():
        path.unlink()
    (house.state_dir / "cache").rmdir()
    (house.state_dir / "cache").symlink_to("/nowhere")
    assert broker.login().text == platform.tokens[0]
    assert broker.login().text == platform.tokens[0]
    assert broker.buying_power() == 1_000_003_827
    assert broker.buying_power() == 1_000_003_827
    assert len(platform.calls(LOGIN)) == 1
    assert len(platform.calls(MONEY)) == 2
    assert "cache" in caplog.text


def test_locks_that_cannot_be_had_are_said(house: House) -> None:
    (house.state_dir / "locks").write_text("a file")
    with pytest.raises(NotSent, match="lock"):
        house.broker().login()


GREENLETS = """
    from gevent import monkey
    monkey.patch_all()
    import sys
    from pathlib import Path
    import gevent
    from brokers_platform import House
    from firstbell.clock import SystemClock
    class Elsewhere:
        url = sys.argv[2]
    house = House(Path(sys.argv[1]), Elsewhere())
    beats = []
    def beat():
        while True:
            beats.append(1)
            gevent.sleep(0.05)
    heart = gevent.spawn(beat)
    brokers = [house.broker(clock=SystemClock()) for _ in range(5)]
    jobs = [gevent.spawn(broker.login) for broker in brokers]
    gevent.joinall(jobs, raise_error=True)
    heart.kill()
    house.cache.close()
    assert len({job.value.text for job in jobs}) == 1
    assert len(beats) > 10, "the others went on while one waited for its captcha"
    print("done")
"""


def test_greenlets_share_one_log_in_and_none_is_held_up(house: House, platform: Platform) -> None:
    paths = [str(Path(__file__).parent), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(GREENLETS), str(house.state_dir), platform.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": ":".join(paths)},
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert len(platform.calls(LOGIN)) == 1


def test_the_cache_holds_the_token_and_nothing_else_does(house: House) -> None:
    token = house.broker().login().text
    house.cache.close()
    holders = {
        path.relative_to(house.state_dir).parts[0]
        for path in house.state_dir.rglob("*")
        if path.is_file() and token.encode() in path.read_bytes()
    }
    assert holders == {"cache"}


def test_where_nobody_may_be_logged_in_no_captcha_is_even_fetched(house: House, platform: Platform) -> None:
    house.broker().login()
    house.solver = Nobody()  # type: ignore[assignment]
    broker = house.broker()
    assert broker.login().text == platform.tokens[0]
    broker.forget_token()
    with pytest.raises(CaptchaError, match="`firstbell warmup` does"):
        broker.buying_power(fresh=True)
    assert len(platform.calls(CAPTCHA)) == len(platform.calls(LOGIN)) == 1
