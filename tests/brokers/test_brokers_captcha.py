import base64
import contextlib
import io
import os
import pty
import select
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers_wire import WireServer, http
from PIL import Image

from firstbell.brokers.captcha import TakesTurns, make_solver, taken
from firstbell.brokers.captcha.command import CommandSolver
from firstbell.brokers.captcha.prompt import PromptSolver
from firstbell.brokers.captcha.url import UrlSolver
from firstbell.config import CaptchaSettings
from firstbell.errors import CaptchaError
from firstbell.log import redact

Serve = Callable[..., WireServer]


@pytest.fixture(scope="session")
def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (150, 50), (255, 0, 0)).save(file, "PNG")
    return file.getvalue()


# Answers


@pytest.mark.parametrize(
    ("typed", "sent"),
    [("12345", "12345"), (" 12345\n", "12345"), ("۱۲۳۴۵", "12345"), ("١٢٣٤٥", "12345"), ("aB3", "aB3")],
)
def test_answers_are_taken_as_people_write_them(typed: str, sent: str) -> None:
    assert taken(typed) == sent


@pytest.mark.parametrize("typed", ["", " ", "12 345", "12345678901", "12-45", "one\ntwo", "\x1b[A", "é", "１２３"])
def test_what_is_no_answer_is_not_sent(typed: str) -> None:
    with pytest.raises(CaptchaError, match="1 to 10 letters and digits"):
        taken(typed)


def test_answers_are_secrets() -> None:
    taken("83921")
    assert "83921" not in redact("it was 83921, they said")


# A program


def program(tmp_path: Path, code: str) -> str:
    path = tmp_path / "solver with spaces.py"
    path.write_text(textwrap.dedent(code))
    return f"'{sys.executable}' '{path}'"


def test_a_program_gets_the_picture_and_prints_the_answer(tmp_path: Path, picture: bytes) -> None:
    command = program(
        tmp_path,
        """
        import sys
        print(len(sys.stdin.buffer.read()))
        """,
    )
    assert CommandSolver(command).solve(picture, account="a") == str(len(picture))


def test_a_program_runs_without_a_shell_and_without_our_secrets(
    tmp_path: Path, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD_OF_ACCOUNT", "planted")
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "planted")
    monkeypatch.setenv("PYTHONPATH", "planted")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    command = program(
        tmp_path,
        f"""
        import os, pathlib, sys
        pathlib.Path({str(tmp_path / "seen")!r}).write_text("\\n".join([*os.environ, *os.environ.values(), *sys.argv]))
        print(7)
        """,
    )
    assert CommandSolver(f"{command} '$HOME; echo planted' > x").solve(picture, account="a") == "7"
    seen = (tmp_path / "seen").read_text()
    assert "planted" not in seen.replace("$HOME; echo planted", "")
    assert "$HOME; echo planted\n>\nx" in seen
    assert "LC_ALL" in seen.splitlines()
    assert "PATH" in seen.splitlines()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; print('S3CRET'); print('S3CRET', file=sys.stderr); sys.exit(3)", "exit status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "exit status -9"),
        ("print('S3CRET S3CRET')", "printed no answer"),
        ("print()", "printed no answer"),
        ("import sys; sys.stdout.buffer.write(bytes([255, 254]))", "printed no answer"),
        ("print('1' * 10_000_000)", "printed no answer"),
    ],
)
def test_a_program_that_fails_is_said_without_its_words(
    tmp_path: Path, picture: bytes, code: str, message: str
) -> None:
    with pytest.raises(CaptchaError, match=message) as caught:
        CommandSolver(program(tmp_path, code)).solve(picture, account="a")
    assert "S3CRET" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_program_that_does_not_read_the_picture_may_answer(tmp_path: Path) -> None:
    assert CommandSolver(program(tmp_path, "print(12345)")).solve(bytes(1 << 20), account="a") == "12345"


def test_a_program_that_takes_too_long_ends_with_all_that_it_started(tmp_path: Path, picture: bytes) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = program(
        tmp_path,
        f"""
        import subprocess, sys, time
        child = "import time; pipe = open({str(pipe)!r}, 'w'); pipe.write('x'); pipe.flush(); time.sleep(600)"
        subprocess.Popen([sys.executable, "-c", child])
        time.sleep(600)
        """,
    )
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(CaptchaError, match=r"no answer within 1 s"):
            CommandSolver(command, timeout_s=1).solve(picture, account="a")
        os.set_blocking(reader, True)
        # The pipe ends when the last process that writes to it has ended.
        assert os.read(reader, 10) == b"x"
        assert os.read(reader, 10) == b""
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("command", "message"),
    [("'unmatched", "quotes"), ("", "no program"), ("  ", "no program")],
)
def test_commands_that_cannot_be_read(command: str, message: str) -> None:
    with pytest.raises(CaptchaError, match=message):
        CommandSolver(command)


@pytest.mark.parametrize("command", ["/nowhere/solver --key=S3CRET", "/", "/dev/null S3CRET"])
def test_commands_that_cannot_be_run(command: str, picture: bytes) -> None:
    with pytest.raises(CaptchaError, match="cannot be run") as caught:
        CommandSolver(command).solve(picture, account="a")
    assert "S3CRET" not in str(caught.value)


# A server


def test_a_server_gets_the_picture_and_answers_text(serve: Serve, picture: bytes) -> None:
    server = serve(lambda *_: http(200, b"12345\n", Content_Type="text/plain"))
    assert UrlSolver(f"{server.url}/solve?key=S3CRET").solve(picture, account="a") == "12345"
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/solve?key=S3CRET")
    assert request.json == {"base64": base64.b64encode(picture).decode()}


@pytest.mark.parametrize(
    "answer",
    [
        http(500, b"S3CRET"),
        http(302, b"12345", Location="/"),
        http(200, b"S3CRET S3CRET"),
        http(200, b"\xff"),
        http(200, b""),
        http(200, b"1" * 2000),
        None,
    ],
)
def test_a_server_that_fails_is_said_without_its_key(serve: Serve, picture: bytes, answer: bytes | None) -> None:
    server = serve(lambda *_: answer)
    with pytest.raises(CaptchaError) as caught:
        UrlSolver(f"{server.url}/solve?key=S3CRET").solve(picture, account="a")
    assert "S3CRET" not in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["", "solver", "ftp://127.0.0.1/", "https://user:pw@host/", "https:///x"])
def test_addresses_of_no_server(url: str) -> None:
    with pytest.raises(CaptchaError, match="write https"):
        UrlSolver(url)


def test_plain_http_is_for_this_machine_only(picture: bytes) -> None:
    with pytest.raises(CaptchaError, match="https"):
        UrlSolver("http://solver.example/").solve(picture, account="a")


# A person

ASK = """
import os
import sys
if os.isatty(2):
    # A session of one's own takes the first terminal that it opens for its own.
    os.close(os.open(os.ttyname(2), os.O_RDWR))
from pathlib import Path
from firstbell.brokers.captcha.prompt import PromptSolver
from firstbell.errors import CaptchaError
try:
    answer = PromptSolver(Path(sys.argv[1]), patience_s=float(sys.argv[3])).solve(
        Path(sys.argv[2]).read_bytes(), account="Order_A [b]")
    print("ANSWER", answer)
except CaptchaError as error:
    print("ERROR", error)
"""


class Person:
    """Sits at a pseudo-terminal that a program belongs to."""

    def __init__(self, arguments: list[str], stdin: int | None, term: str = "dumb") -> None:
        self.terminal, theirs = pty.openpty()
        self.screen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", ASK, *arguments],
            stdin=theirs if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "TERM": term, "COLORTERM": "truecolor", "COLUMNS": "80", "PYTHONUTF8": "1"},
            start_new_session=True,
        )
        os.close(theirs)

    def sees(self, text: str) -> str:
        """Wait until a text is on the screen."""
        while text.encode() not in self.screen:
            ready, _, _ = select.select([self.terminal], [], [], 20)
            assert ready, f"not seen: {text}; but {self.screen!r}"
            try:
                self.screen += os.read(self.terminal, 1 << 16)
            except OSError as error:
                raise AssertionError(f"not seen: {text}; but {self.screen!r}") from error
        return self.screen.decode()

    def types(self, text: str) -> None:
        self.screen = b""
        os.write(self.terminal, text.encode())

    def leaves(self) -> str:
        out, _ = self.process.communicate(timeout=20)
        os.close(self.terminal)
        return bytes(out).decode()


@pytest.fixture
def sit(tmp_path: Path, picture: bytes) -> Iterator[Callable[..., Person]]:
    (tmp_path / "picture.png").write_bytes(picture)
    people: list[Person] = []

    def start(
        *, stdin: int | None = None, patience: str = "20", term: str = "dumb", name: str = "picture.png"
    ) -> Person:
        people.append(Person([str(tmp_path / "state"), str(tmp_path / name), patience], stdin, term))
        return people[-1]

    yield start
    for person in people:
        if person.process.poll() is None:
            person.process.kill()
        with contextlib.suppress(ValueError):
            person.process.communicate()


def test_a_person_sees_the_path_and_types_the_answer(
    sit: Callable[..., Person], tmp_path: Path, picture: bytes
) -> None:
    person = sit()
    screen = person.sees("What does it say?")
    (path,) = (tmp_path / "state" / "captcha").iterdir()
    assert str(path) in screen.replace("\r\n", "")
    assert "Order_A [b]" in screen
    assert path.suffix == ".png"
    assert path.read_bytes() == picture
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    person.types("۱۲۳۴۵\n")
    assert person.leaves() == "ANSWER 12345\n"
    assert not path.exists()


def test_the_picture_is_shown_where_the_terminal_can(sit: Callable[..., Person]) -> None:
    person = sit(term="xterm-256color")
    screen = person.sees("What does it say?")
    assert "▄" in screen
    assert "255;0;0" in screen
    person.types("12345\n")
    assert person.leaves() == "ANSWER 12345\n"


def test_a_picture_that_is_none_still_has_a_path(sit: Callable[..., Person], tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + bytes(40))
    person = sit(term="xterm-256color", name="broken")
    assert "/state/captcha/" in person.sees("What does it say?").replace("\r\n", "")
    person.types("12345\n")
    assert person.leaves() == "ANSWER 12345\n"


@pytest.mark.parametrize("where", ["null", "pipe"])
def test_where_standard_input_is_no_terminal_the_terminal_is_asked(sit: Callable[..., Person], where: str) -> None:
    reader, writer = os.pipe()
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        os.write(writer, b"99999\n")
        person = sit(stdin=null if where == "null" else reader)
        person.sees("What does it say?")
        person.types("12345\n")
        assert person.leaves() == "ANSWER 12345\n"
    finally:
        for file in (reader, writer, null):
            os.close(file)


def test_a_slip_of_the_hand_is_asked_again(sit: Callable[..., Person]) -> None:
    person = sit()
    person.sees("What does it say?")
    for typed in ("\n", "1 2\n"):
        person.types(typed)
        person.sees("please.\r\nWhat does it say?")
    person.types("777\n")
    assert person.leaves() == "ANSWER 777\n"


@pytest.mark.parametrize("typed", ["\x04", "\n\n\n"])
def test_a_person_who_does_not_answer(sit: Callable[..., Person], tmp_path: Path, typed: str) -> None:
    person = sit()
    person.sees("What does it say?")
    person.types(typed)
    assert person.leaves().startswith("ERROR ")
    assert list((tmp_path / "state" / "captcha").iterdir()) == []


def test_a_person_who_has_gone(sit: Callable[..., Person], tmp_path: Path) -> None:
    person = sit(patience="0.2")
    person.sees("What does it say?")
    assert "nobody answered the captcha" in person.leaves()
    assert list((tmp_path / "state" / "captcha").iterdir()) == []


def test_without_a_terminal_the_remedy_is_named(tmp_path: Path, picture: bytes) -> None:
    (tmp_path / "picture.png").write_bytes(picture)
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path / "state"), str(tmp_path / "picture.png"), "5"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
        timeout=30,
    )
    assert done.stdout.startswith("ERROR there is no terminal")
    assert "warmup" in done.stdout
    assert "solver = command or url" in done.stdout


def test_one_person_is_asked_at_a_time(tmp_path: Path) -> None:
    """Two solvers, as two accounts have them: the second has its turn when the first is done."""
    first, second = PromptSolver(tmp_path), PromptSolver(tmp_path)
    assert isinstance(first, TakesTurns)
    order: list[str] = []

    def other() -> None:
        with second.turn(account="b"):
            order.append("second")

    with first.turn(account="a"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]


# From the config


def test_the_config_chooses(tmp_path: Path) -> None:
    assert isinstance(make_solver(CaptchaSettings(), tmp_path), PromptSolver)
    command = CaptchaSettings.model_validate({"solver": "command", "command": "solve"})
    assert isinstance(make_solver(command, tmp_path), CommandSolver)
    url = CaptchaSettings.model_validate({"solver": "url", "url": "http://127.0.0.1:1/"})
    assert isinstance(make_solver(url, tmp_path), UrlSolver)
    assert list(tmp_path.iterdir()) == []
