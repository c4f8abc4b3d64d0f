from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from journal_orders import FAR, KNOWN, PLAN, Where, accepted, intent, report
from journal_proxy import Break, Proxy
from pg8000.native import DatabaseError

from firstbell.clock import SystemClock
from firstbell.errors import JournalDamaged, JournalError
from firstbell.journal import postgres, postgres_wire
from firstbell.journal.base import Claimed, Held, Intent, Note, Owner, ReportMisfit
from firstbell.journal.owner import this_process
from firstbell.journal.postgres import _alive_key
from firstbell.model.identifiers import ClientOrderId
from firstbell.model.order_status import OrderStatus, ReportKind
from postgres_server import PASSWORD, USER

NS = 1_000_000_000
DEADLINE_S = 20.0
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'firstbell' AND datname = current_database()"
KILL = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'firstbell'"


@pytest.fixture
def place(postgres_place):
    return postgres_place


@pytest.fixture
def journal(place):
    return place.open()


@pytest.fixture
def proxied(place):
    """A journal behind a proxy that breaks commits."""
    with contextlib.ExitStack() as stack:

        def open_(*breaks):
            place.open().entries()
            proxy = Proxy(place.server.port, *breaks)
            stack.callback(proxy.close)
            url = place.where.url.replace(f":{place.server.port}/", f":{proxy.port}/")
            journal = replace(place.where, url=url).open()
            stack.callback(journal.close)
            return journal

        yield open_


def until(happened):
    end = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def written(place):
    return [row[0] for row in place.run("SELECT kind FROM reports ORDER BY seq")]


@pytest.fixture
def python():
    """Start processes that know our tests' helpers; they are ended afterwards."""
    with contextlib.ExitStack() as stack:

        def start(code, *arguments):
            process = _python(code, *arguments)
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield start


def _python(code, *arguments):
    folders = [Path(__file__).parent, Path(postgres.__file__).parents[2]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def test_it_is_of_many_machines(journal):
    assert not journal.is_local


# What is kept, and how


def test_a_commit_is_durable_whatever_the_database_has_set(place):
    place.server.run(f"ALTER DATABASE {place.database} SET synchronous_commit = off")
    journal = place.open()
    assert journal._store.read(lambda s: s.rows("SHOW synchronous_commit"))[0]["synchronous_commit"] == "on"


def test_a_stricter_commit_stays(place):
    place.server.run(f"ALTER DATABASE {place.database} SET synchronous_commit = remote_apply")
    journal = place.open()
    assert journal._store.read(lambda s: s.rows("SHOW synchronous_commit"))[0]["synchronous_commit"] == "remote_apply"


def test_other_defaults_of_the_database_change_nothing(place):
    for setting in ("default_transaction_isolation = 'serializable'", "default_transaction_read_only = on"):
        place.server.run(f"ALTER DATABASE {place.database} SET {setting}")
    place.server.run(f"ALTER DATABASE {place.database} SET search_path = nowhere")
    # Making the tables is the administrator's work where nothing may be written by default; claiming is ours.
    journal = place.open()
    assert isinstance(journal.claim(intent(), "run", this_process()), Claimed)
    assert journal.entry(PLAN).intent == intent()


@pytest.mark.parametrize("table", ["runs", "orders", "reports", "notes", "marks", "version"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET {} = NULL", "TRUNCATE {} CASCADE"])
def test_nobody_changes_or_removes_anything(journal, place, table, statement):
    journal.claim(intent(), "run", this_process())
    column = {"marks": "mark", "version": "version"}.get(table, "run_id")
    with pytest.raises(DatabaseError, match="append-only"):
        place.run(f"SET session_replication_role = replica; {statement.format(table, column)}")


def test_a_journal_of_another_version_is_refused(journal, place):
    journal.entries()
    place.run("INSERT INTO version (version) VALUES (99)")
    with pytest.raises(JournalError, match="version 99, and this firstbell reads version 3"):
        place.open().entries()


def test_a_journal_without_one_of_its_tables_is_damaged(journal, place):
    journal.entries()
    place.run("DROP TABLE notes")
    with pytest.raises(JournalDamaged, match="nothing is sent until a person"):
        place.open().notes("run")


def test_a_database_that_cannot_keep_every_letter_is_refused(place):
    name = place.server.make_database().replace("journal", "latin")
    place.server.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1'")
    journal = Where(place.server.url(name), Path("no")).open()
    with pytest.raises(JournalError, match="keeps texts as LATIN1"):
        journal.entries()


def test_a_user_who_may_make_nothing_is_told_who_may(place):
    user = f"poor_{place.database}"
    place.server.run(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
    where = Where(place.server.url(place.database, user=user), Path("no"))
    journal = where.open()
    with pytest.raises(JournalError, match=f'permission denied .*CREATE SCHEMA firstbell AUTHORIZATION "{user}"'):
        journal.entries()
    place.server.run(f"CREATE SCHEMA firstbell AUTHORIZATION {user}", place.database)
    assert isinstance(journal.claim(intent(), "run", this_process()), Claimed)
    journal.close()


# Connections that break


def test_a_killed_connection_is_made_anew(journal, place):
    journal.claim(intent(), "run", this_process())
    place.run(KILL)
    assert journal.entry(PLAN).state.status is OrderStatus.INITIALIZED
    place.run(KILL)
    accepted(journal)
    place.run(KILL)
    journal.note("run", [Note("Order_A", "finished")])
    assert journal.entry(PLAN).state.status is OrderStatus.ACCEPTED
    assert len(journal.notes("run")) == 1


class KillingClock(SystemClock):
    """Kills the connection in the middle of a transaction, the first few times that it is looked at."""

    def __init__(self, place, times):
        self.place, self.times = place, times

    def wall_ns(self):
        if self.times:
            self.times -= 1
            self.place.run(KILL)
        return super().wall_ns()


def test_a_connection_killed_in_the_middle_of_a_claim_is_made_anew(place):
    journal = place.open(KillingClock(place, 1))
    heard = []
    journal.subscribe(lambda report, _: heard.append(report.kind))
    assert isinstance(journal.claim(intent(), "run", this_process()), Claimed)
    assert heard == [ReportKind.INITIALIZED]
    assert written(place) == ["INITIALIZED"]


def test_a_connection_killed_again_and_again_is_no_claim(place):
    journal = place.open(KillingClock(place, 9))
    with pytest.raises(JournalError, match="connection") as caught:
        journal.claim(intent(), "run", this_process())
    assert "not known" not in str(caught.value)
    assert written(place) == []


def test_a_restarted_server_goes_on(journal, place):
    journal.claim(intent(), "run", this_process())
    place.server.stop()
    with pytest.raises(JournalError, match=f"{place.database} at 127.0.0.1:{place.server.port} cannot be reached"):
        journal.claim(intent(), "run", this_process())
    place.server.start()
    assert journal.claim(intent(), "run", this_process()).ours
    accepted(journal)


@pytest.mark.parametrize("break_", [Break.BEFORE, Break.AFTER])
def test_a_claim_whose_commit_got_lost_is_looked_up(proxied, place, break_):
    journal = proxied(break_)
    answer = journal.claim(intent(), "run", this_process())
    assert isinstance(answer, Claimed)
    assert answer.order.client_order_id == PLAN
    assert written(place) == ["INITIALIZED"]


@pytest.mark.parametrize("break_", [Break.BEFORE, Break.AFTER])
def test_reports_whose_commit_got_lost_are_written_once(proxied, place, break_):
    place.open().claim(intent(), "run", this_process())
    journal = proxied(break_)
    heard = []
    journal.subscribe(lambda report, _: heard.append(report.kind))
    accepted(journal)
    assert written(place) == ["INITIALIZED", "SUBMITTED", "ACCEPTED"]
    assert heard == [ReportKind.SUBMITTED, ReportKind.ACCEPTED]
    journal.note("run", [Note("Order_A", "finished")])
    assert len(journal.notes("run")) == 1


def test_notes_whose_commit_got_lost_are_written_once(proxied, place):
    proxied(Break.AFTER).note("run", [Note("Order_A", "finished")])
    assert len(place.open().notes("run")) == 1


def test_a_claim_that_nobody_can_tell_is_none(proxied, place):
    journal = proxied(Break.BEFORE, Break.AFTER)
    with pytest.raises(JournalError, match="not known whether"):
        journal.claim(intent(), "run", this_process())
    # It was written; it is ours, but it was never granted.
    assert written(place) == ["INITIALIZED"]
    again = journal.claim(intent(), "run", this_process())
    assert isinstance(again, Held)
    assert again.ours


def test_a_commit_that_is_still_on_its_way_is_waited_for(proxied, place, monkeypatch):
    monkeypatch.setattr(postgres_wire, "_SETTINGS", postgres_wire._SETTINGS.replace("'5s'", "'1s'"))
    journal = proxied(Break.SILENT)
    assert isinstance(journal.claim(intent(), "run", this_process()), Claimed)
    assert written(place) == ["INITIALIZED"]


def test_somebody_else_was_quicker_while_the_connection_was_lost(proxied, place):
    other = place.open()
    other.claim(intent(), "run", this_process())
    journal = proxied(Break.BEFORE)
    work = journal._store.write

    def slower(*arguments):
        def late(session, first=[True]):  # noqa: B006 - remembers over both tries
            if not first:
                accepted(other)
            first.clear()
            return arguments[0](session)

        return work(late, *arguments[1:])

    # The lock is not asked for here, so that the other can come in between.
    journal._store.write = lambda done, _plans: slower(done, ())
    with pytest.raises(ReportMisfit) as caught:
        journal.append([report(ReportKind.DENIED, reason="too late")])
    assert "not known" not in str(caught.value)
    assert written(place) == ["INITIALIZED", "SUBMITTED", "ACCEPTED"]


def test_whoever_waits_too_long_is_told(place, monkeypatch):
    monkeypatch.setattr(postgres_wire, "_SETTINGS", postgres_wire._SETTINGS.replace("'10s'", "'200ms'"))
    journal, slow = place.open(), place.open()
    entered, leave = threading.Event(), threading.Event()

    def work(_session):
        entered.set()
        assert leave.wait(DEADLINE_S)

    journal.entries()
    thread = threading.Thread(target=slow._store.write, args=(work, (PLAN,)))
    thread.start()
    assert entered.wait(DEADLINE_S)
    try:
        with pytest.raises(JournalError, match="statement timeout"):
            journal.claim(intent(), "run", this_process())
    finally:
        leave.set()
        thread.join()
    assert isinstance(journal.claim(intent(), "run", this_process()), Claimed)


# Owners on other machines


@pytest.fixture
def machine(place, monkeypatch):
    """Journals as other machines have them, and the owners who hold claims there."""

    def open_(host, clock=None):
        owner = Owner(f"{host}#start", os.getpid(), 1.5)
        journal = place.open(clock)
        with monkeypatch.context() as there:
            there.setattr(postgres, "this_process", lambda: owner)
            journal.entries()
        return journal, owner

    return open_


def drop(place, journal, owner):
    """Break the connection of one machine, without its noticing."""
    pid = journal._store.read(lambda session: session.rows("SELECT pg_backend_pid() AS pid"))[0]["pid"]
    place.run(f"SELECT pg_terminate_backend({pid}, 5000)")
    until(lambda: not place.open().alive(owner))


def test_an_owner_on_another_machine_lives_as_long_as_its_connection(journal, machine, place):
    other, owner = machine("other")
    other.claim(intent(), "run", owner)
    assert journal.alive(owner)
    assert not journal.alive(replace(owner, started=2.5))
    answer = journal.claim(intent(), "run", this_process())
    assert isinstance(answer, Held)
    assert not answer.ours
    drop(place, other, owner)
    answer = journal.claim(intent(), "run", this_process())
    assert isinstance(answer, Claimed)
    assert answer.order.client_order_id == f"{PLAN}-r2"


def test_a_machine_of_the_same_name_is_another_machine(journal, machine, place):
    other, owner = machine(this_process().host.partition("#")[0])
    other.claim(intent(), "run", owner)
    assert journal.alive(owner)
    drop(place, other, owner)
    assert not journal.alive(owner)


def test_shortly_before_the_bell_nothing_is_taken_over_from_afar(machine, place, stepped_clock):
    bell_ns = stepped_clock.wall_ns() + 60 * NS
    here, claimant = machine("here", stepped_clock)
    other, owner = machine("other", stepped_clock)
    planned = replace(intent(), bell_ns=bell_ns)
    other.claim(planned, "run", owner)
    drop(place, other, owner)
    stepped_clock.move_to(50 * NS)
    assert not here.claim(planned, "run", claimant).entry.state.unresolved
    stepped_clock.move_to(60 * NS - 1)
    answer = here.claim(planned, "run", claimant)
    assert isinstance(answer, Held)
    assert written(place) == ["INITIALIZED"]
    # He lived all the time and looks once more: nobody has taken anything from him.
    assert other.entry(PLAN).state.status is OrderStatus.INITIALIZED
    stepped_clock.move_to(60 * NS)
    drop(place, other, owner)
    assert here.claim(planned, "run", claimant).entry.state.unresolved


class SlowClock:
    """Takes a second each time that it is looked at: as if the database were slow."""

    def __init__(self, now_ns):
        self.now_ns = now_ns

    def wall_ns(self):
        self.now_ns += NS
        return self.now_ns


def test_a_claim_that_was_taken_over_too_slowly_is_left_alone(machine, place, stepped_clock):
    bell_ns = stepped_clock.wall_ns() + 60 * NS
    planned = replace(intent(), bell_ns=bell_ns)
    other, owner = machine("other", stepped_clock)
    other.claim(planned, "run", owner)
    drop(place, other, owner)
    here, claimant = machine("here", SlowClock(bell_ns - 12 * NS))
    answer = here.claim(planned, "run", claimant)
    assert isinstance(answer, Held)
    assert answer.entry.intent.order.client_order_id == f"{PLAN}-r2"
    assert answer.entry.state.unresolved
    assert "so late that" in answer.entry.state.reason
    third, another = machine("third", stepped_clock)
    assert isinstance(third.claim(planned, "run", another), Held)


CLAIM_AND_WAIT = """
import sys
from pathlib import Path
from journal_orders import Where, intent
from firstbell.journal.owner import this_process
journal = Where(sys.argv[1], Path("no")).open()
journal.claim(intent(), "run", this_process())
print(this_process().host, this_process().pid, this_process().started, flush=True)
sys.stdin.read()
"""


def read_owner(process):
    host, pid, started = process.stdout.readline().split()
    return Owner(host, int(pid), float(started))


def test_a_killed_owner_gives_its_claim_free(journal, place, python):
    process = python(CLAIM_AND_WAIT, place.where.url)
    owner = read_owner(process)
    assert journal.alive(owner)
    assert isinstance(journal.claim(intent(), "run", this_process()), Held)
    process.kill()
    process.wait()
    until(lambda: not journal.alive(owner))
    assert isinstance(journal.claim(intent(), "run", this_process()), Claimed)


FORK_AND_WAIT = """
import os, sys
from pathlib import Path
from journal_orders import Where, intent
from firstbell.journal.owner import this_process
journal = Where(sys.argv[1], Path("no")).open()
journal.claim(intent(), "run", this_process())
owner = this_process()
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print(owner.host, owner.pid, owner.started, flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("query", ["", "?sslmode=require"])
def test_a_child_does_not_keep_its_parent_alive(journal, place, python, query):
    process = python(FORK_AND_WAIT, place.where.url + query)
    owner = read_owner(process)
    process.wait()
    # Its child runs on until its input ends.
    until(lambda: not journal.alive(owner))


def test_a_forks_parent_keeps_its_connection(journal, place):
    journal.claim(intent(), "run", this_process())
    before = place.run(BACKENDS)
    child = os.fork()
    if child == 0:
        try:
            journal.claim(replace(intent("another"), login="another's"), "run", this_process())
            journal.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    until(lambda: place.run(BACKENDS) == before)
    assert journal.entry("another").owner == Owner(this_process().host, child, journal.entry("another").owner.started)
    assert place.run(BACKENDS) == before
    assert not journal.alive(journal.entry("another").owner)


def test_the_lock_of_an_owner_is_the_same_everywhere():
    # Two versions that run side by side have to agree.
    assert _alive_key(Owner("host#start", 4711, 123456.0)) == 3871527349489910730


# Greenlets

GREENLETS = """
from gevent import monkey
monkey.patch_all()
import sys
from pathlib import Path
import gevent
from journal_orders import Where, intent
from firstbell.journal.base import Claimed
from firstbell.journal.owner import this_process
journal = Where(sys.argv[1], Path("no")).open()
journal.run("nobody")
waiting = gevent.spawn(journal.claim, intent(), "run", this_process())
gevent.sleep(0.05)
print("others go on while it waits:", not waiting.dead, flush=True)
killed = gevent.spawn(journal.entries)
gevent.sleep(0)
killed.kill()
assert isinstance(waiting.get(), Claimed)
in_the_middle = gevent.spawn(journal.claim, intent("killed"), "run", this_process())
gevent.sleep(0)
in_the_middle.kill()
jobs = [gevent.spawn(journal.claim, intent(f"p{n % 50}"), "run", this_process()) for n in range(200)]
gevent.joinall(jobs, raise_error=True)
print(sum(isinstance(job.value, Claimed) for job in jobs), flush=True)
"""


@pytest.mark.parametrize("query", ["", "?sslmode=require"])
def test_greenlets_share_one_connection_and_wait_for_each_other_only(place, python, query):
    place.open().entries()
    blocker = place.server.connect(place.database)
    try:
        blocker.run("BEGIN; SET LOCAL search_path = firstbell; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        process = python(GREENLETS, place.where.url + query)
        assert process.stdout.readline() == "others go on while it waits: True\n"
        assert len(place.run(BACKENDS)) == 2
        blocker.run("ROLLBACK")
        assert process.stdout.readline() == "50\n"
        assert process.wait(DEADLINE_S) == 0
    finally:
        blocker.close()


# What is told, and what is not


def told(url):
    journal = Where(url, Path("no")).open()
    with pytest.raises(JournalError) as caught:
        journal.claim(Intent(intent().order, "login", ClientOrderId(PLAN), FAR, KNOWN), "run", this_process())
    journal.close()
    text = "".join(traceback.format_exception(caught.value))
    assert "pl4nted" not in text
    return str(caught.value)


def test_a_wrong_password_is_told_without_it(place):
    message = told(place.server.url(place.database, password="pl4nted-wrong"))
    assert f"{place.database} at 127.0.0.1:{place.server.port} does not let {USER} in" in message
    assert "password authentication failed" in message
    message = told(place.server.url(place.database, user="nobody", password="pl4nted-wrong"))
    assert "does not let nobody in" in message


def test_a_missing_database_is_told(place):
    message = told(f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{place.server.port}/pl4ne")
    assert 'database "pl4ne" does not exist' in message


def test_a_host_that_does_not_answer_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    message = told(f"postgresql://fb:pl4nted@127.0.0.1:{port}/fb")
    assert message == f"the journal fb at 127.0.0.1:{port} cannot be reached: Connection refused"


def test_a_name_that_is_none_is_told():
    assert "nowhere.invalid:5432 cannot be reached" in told("postgresql://fb:pl4nted@nowhere.invalid/fb")


@pytest.mark.parametrize("query", ["", "?sslmode=require"])
def test_a_server_that_says_nothing_is_given_up(monkeypatch, query):
    monkeypatch.setattr(postgres_wire, "CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        message = told(f"postgresql://fb:pl4nted@127.0.0.1:{silent.getsockname()[1]}/fb{query}")
    assert "no answer within" in message


def test_a_server_that_is_none_is_told():
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def answer():
            client, _ = odd.accept()
            with client:
                client.recv(1024)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        message = told(f"postgresql://fb:pl4nted@127.0.0.1:{odd.getsockname()[1]}/fb")
        thread.join()
    assert "could not be logged in to as fb: network error: it went away, or is no PostgreSQL server" in message


# Encryption


@pytest.mark.parametrize("mode", ["disable", "require", "verify-full"])
def test_what_is_encrypted_is_what_was_asked_for(place, mode):
    ca = f"&sslrootcert={place.server.ca_file}" if mode == "verify-full" else ""
    journal = Where(f"{place.where.url}?sslmode={mode}{ca}", Path("no")).open()
    query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert journal._store.read(lambda s: s.rows(query))[0]["ssl"] is (mode != "disable")
    assert isinstance(journal.claim(intent(), "run", this_process()), Claimed)
    journal.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(place):
    message = told(f"{place.where.url}?sslmode=verify-full")
    assert "cannot be encrypted" in message
    assert "sslrootcert=FILE" in message


def test_a_certificate_for_another_host_is_refused(place):
    url = place.where.url.replace("127.0.0.1", "localhost")
    message = told(f"{url}?sslmode=verify-full&sslrootcert={place.server.ca_file}")
    assert "cannot be encrypted" in message


def test_certificates_that_cannot_be_read_are_named(place, tmp_path):
    assert "ca.pem cannot be read" in told(f"{place.where.url}?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem")
    (tmp_path / "ca.pem").write_text("none", encoding="ascii")
    assert "ca.pem cannot be read" in told(f"{place.where.url}?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem")


def test_a_server_that_does_not_encrypt_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer():
            client, _ = plain.accept()
            with client:
                client.recv(8)
                client.sendall(b"N")

        thread = threading.Thread(target=answer)
        thread.start()
        message = told(f"postgresql://fb:pl4nted@127.0.0.1:{plain.getsockname()[1]}/fb?sslmode=require")
        thread.join()
    assert "does not encrypt" in message
