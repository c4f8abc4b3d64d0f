"""A process that has imported everything, and forks a child for each mutant.

``python -m mutation.server hot FOLDER…`` has collected the tests of these folders; its children swap functions' code.
``python -m mutation.server cold`` has imported libraries only; its children import the mutated module and collect anew.
Jobs come in as lines of JSON, results go out likewise. When its standard input ends, so does it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile

# Held from before gevent puts its own in their place.
from os import fork, read, waitpid, write
from pathlib import Path
from select import POLLIN, poll
from time import monotonic
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final, cast

import coverage
import psutil
import pytest
from hypothesis import HealthCheck, settings

from mutation import imports
from mutation.rooms import ROOT, SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Job = dict[str, Any]
    Result = dict[str, Any]

_UNPATCHED: Final = "LOCUST_SKIP_MONKEY_PATCH"
_SUBREAPER: Final = 36
_MEMORY: Final = 6 << 30
_OPTIONS: Final = (
    *("-q", "--tb=no", "--capture=no", "--hypothesis-profile=mutation", "-p", "no:cacheprovider"),
    # Hypothesis is here before pytest would have changed it.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
_LIBRARIES: Final = ("aiohttp.web", "cryptography.x509", "locust", "pg8000.native", "pydantic", "requests", "trustme")


def main(arguments: list[str]) -> int:
    """Serve until standard input ends; the exit status."""
    os.chdir(ROOT)
    out = os.dup(1)
    # What pytest says goes into the log.
    os.dup2(2, 1)
    # What a child leaves behind becomes ours, so that it can be ended.
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A test that fails need not be made small, and one that passes must pass again.
    settings.register_profile(
        "mutation", deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    if arguments[0] == "cold":
        # As in the tests: nothing is patched for gevent.
        os.environ[_UNPATCHED] = "1"
        for name in _LIBRARIES:
            importlib.import_module(name)
        del os.environ[_UNPATCHED]
        _serve(_cold, out)
        return 0
    plugin = _Hot(out)
    return int(pytest.main([*_OPTIONS, *arguments[1:]], plugins=[plugin]))


class _Hot:
    """Takes the place of pytest's loop over the tests."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._items: dict[str, pytest.Item] = {}
        self._functions: dict[tuple[str, str, int], list[FunctionType]] = {}
        self._session: pytest.Session | None = None
        self._failed: list[str] = []
        self._shared: dict[str, float] = {}
        self._shared_s = 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("some tests cannot be collected")
        self._session = session
        self._items = {item.nodeid: item for item in session.items}
        here = str(SOURCE)
        for thing in gc.get_objects():
            if type(thing) is FunctionType and thing.__code__.co_filename.startswith(here):
                code = thing.__code__
                key = (code.co_filename, code.co_qualname, code.co_firstlineno)
                self._functions.setdefault(key, []).append(thing)
        # Children share what they do not change.
        gc.freeze()
        _say(self._out, {"tests": list(self._items)})
        _serve(self._work, self._out)
        return True

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.append(report.nodeid)

    def _work(self, job: Job) -> Result:
        if "gevent" in sys.modules:
            importlib.import_module("gevent").reinit()
        # What a mutant writes beside itself goes with its folder.
        os.chdir(tempfile.gettempdir())
        if job["kind"] == "measure":
            return self._measure(job)
        if not self._swap(job):
            return {"outcome": "cold"}
        killer = self._run(job["tests"])
        return {"outcome": "killed" if killer else "survived", "killer": killer}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        del request
        begun = monotonic()
        try:
            return (yield)
        finally:
            if fixturedef.scope != "function":
                self._shared[fixturedef.argname] = monotonic() - begun
                self._shared_s += monotonic() - begun

    def _measure(self, job: Job) -> Result:
        """Run the tests of one file and say of each which lines it runs, and how long it would take by itself."""
        data = coverage.Coverage(
            data_file=None, config_file=False, include=job["include"], concurrency=["thread", "gevent"]
        )
        data.set_option("run:disable_warnings", ["no-data-collected"])
        data.start()
        took, failed = {}, set()
        names = job["tests"]
        for name, following in zip(names, [*names[1:], None], strict=True):
            data.switch_context(name)
            self._shared_s, begun = 0.0, monotonic()
            item = self._items[name]
            next_item = None if following is None else self._items[following]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=next_item)
            took[name] = monotonic() - begun - self._shared_s
            if self._failed:
                failed.add(name)
                self._failed.clear()
        data.stop()
        measured = data.get_data()
        tests = {}
        for name in names:
            # What several tests share is made anew for one alone.
            uses = getattr(self._items[name], "fixturenames", ())
            shared_s = sum(self._shared.get(fixture, 0.0) for fixture in uses)
            measured.set_query_context(name)
            lines = {file: sorted(measured.lines(file) or ()) for file in measured.measured_files()}
            outcome = "failed" if name in failed else "passed"
            tests[name] = {"outcome": outcome, "seconds": took[name] + shared_s, "lines": lines}
        return {"outcome": "measured", "killer": None, "of": tests}

    def _run(self, names: list[str]) -> str | None:
        """Run tests until one fails; its name."""
        items = [self._items[name] for name in names]
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed:
                if following is not None and self._session is not None:
                    with contextlib.suppress(Exception):
                        self._session._setupstate.teardown_exact(None)  # noqa: SLF001 - as pytest does after the last
                return self._failed[0]
        return None

    def _swap(self, job: Job) -> bool:
        """Give the mutated function its new code; False where that takes a new import."""
        code = _find(compile(job["source"], job["path"], "exec", dont_inherit=True), job["qualname"], job["line"])
        functions = self._functions.get((job["path"], job["qualname"], job["line"]))
        if code is None or functions is None:
            return False
        for function in functions:
            try:
                function.__code__ = code
            except ValueError:
                return False
        return True


def _find(code: CodeType, qualname: str, line: int) -> CodeType | None:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if (constant.co_qualname, constant.co_firstlineno) == (qualname, line):
                return constant
            if (found := _find(constant, qualname, line)) is not None:
                return found
    return None


def _cold(job: Job) -> Result:
    imports.replace(job["module"], job["path"], job["source"])
    watcher = _Watcher()
    status = pytest.main([*_OPTIONS, "-x", *job["tests"]], plugins=[watcher])
    if status == pytest.ExitCode.OK:
        return {"outcome": "survived", "killer": None}
    return {"outcome": "killed", "killer": watcher.failed or "the import"}


class _Watcher:
    def __init__(self) -> None:
        self.failed: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid


def _serve(work: Callable[[Job], Result], out: int) -> None:
    waiting = b""
    while True:
        while b"\n" not in waiting:
            block = read(0, 1 << 20)
            if not block:
                return
            waiting += block
        line, _, waiting = waiting.partition(b"\n")
        result = _in_child(work, cast("Job", json.loads(line)))
        if result is None:
            return
        _say(out, result)


def _in_child(work: Callable[[Job], Result], job: Job) -> Result | None:
    """Do a job in a child; None where whom we serve has gone."""
    folder = tempfile.mkdtemp(prefix="mutant-")
    # PostgreSQL's own user must be able to reach what stands below it.
    Path(folder).chmod(0o711)
    begun = monotonic()
    ours, theirs = os.pipe()
    pid = fork()
    if pid == 0:
        _child(work, job, folder, theirs)
    os.close(theirs)
    result: Result | None = {"outcome": "timed out", "killer": None}
    heard = b""
    poller = poll()
    poller.register(ours, POLLIN)
    poller.register(0, 0)
    until = begun + job["wall_s"]
    try:
        while (left := until - monotonic()) > 0:
            ready = dict(poller.poll(left * 1000))
            if 0 in ready:
                result = None
                break
            if ours in ready:
                block = read(ours, 1 << 20)
                heard += block
                if heard.endswith(b"\n"):
                    result = json.loads(heard)
                    break
                if not block:
                    result = {"outcome": "crashed", "killer": None}
                    break
    finally:
        os.close(ours)
        status = _end(pid)
        shutil.rmtree(folder, ignore_errors=True)
    if result is not None:
        if result["outcome"] == "crashed" and status == signal.SIGXCPU:
            result["outcome"] = "timed out"
        result.setdefault("seconds", monotonic() - begun)
        result["id"] = job["id"]
    return result


def _child(work: Callable[[Job], Result], job: Job, folder: str, out: int) -> None:
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
    tempfile.tempdir = folder
    resource.setrlimit(resource.RLIMIT_CPU, (job["cpu_s"], job["cpu_s"] + 1))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        result = work(job)
    except BaseException as error:  # noqa: BLE001 - whatever a mutant does, its child says so and ends
        result = {"outcome": "crashed", "killer": type(error).__name__}
    _say(out, result)
    os._exit(0)


def _end(pid: int) -> int:
    """End a child and all that it has started; the signal that had ended it, or 0."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    status = waitpid(pid, 0)[1]
    for left in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()
    with contextlib.suppress(ChildProcessError):
        while waitpid(-1, 0)[0]:
            pass
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _say(out: int, message: dict[str, Any]) -> None:
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[write(out, data) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
