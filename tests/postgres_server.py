"""A throw-away PostgreSQL server on loopback, from whatever binaries the machine has."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import trustme
from pg8000.native import Connection, DatabaseError, InterfaceError

USER = "tester"
PASSWORD = "tests-own-s3cret"
START_S = 30.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "60",
    # A test's machine need not survive losing its power.
    "fsync": "off",
    "full_page_writes": "off",
    "ssl": "on",
    "ssl_cert_file": "server.pem",
    "ssl_key_file": "server.key",
}


def binaries() -> Path | None:
    """The folder of the newest server there is, or None."""
    found = shutil.which("initdb")
    if found is not None and shutil.which("postgres") is not None:
        return Path(found).parent
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    return max(versions, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))], default=None)


class PostgresServer:
    """One cluster. PostgreSQL refuses to run as root, so root gives it to the user whom the package made for it."""

    def __init__(self, bin_: Path) -> None:
        self._bin = bin_
        self._folder = Path(tempfile.mkdtemp(prefix="firstbell-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self._account = _account()
        self.port = 0
        self.ca_file = self._folder / "ca.pem"
        try:
            self._make()
            self.start()
        except BaseException:
            self.remove()
            raise

    def url(self, database: str, query: str = "", *, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}{query}"

    def make_database(self, more: str = "") -> str:
        """A fresh, empty database; its name."""
        self._databases += 1
        name = f"journal{self._databases}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {more}")
        return name

    def run(self, statement: str, database: str = "postgres"):
        """Carry out one statement as the superuser; its rows."""
        connection = self.connect(database)
        try:
            return connection.run(statement)
        finally:
            connection.close()

    def connect(self, database: str = "postgres") -> Connection:
        connection = Connection(
            USER, host="127.0.0.1", port=self.port, database=database, password=PASSWORD, ssl_context=False, timeout=20
        )
        # pg8000 leaves this to the garbage collector.
        file, close = connection._sock, connection.close

        def close_all():
            with contextlib.suppress(InterfaceError, OSError, ValueError):
                close()
            with contextlib.suppress(OSError, ValueError):
                file.close()

        connection.close = close_all
        return connection

    def start(self) -> None:
        for again in (True, True, False):
            # The port stays when the server is restarted; somebody else may have taken a new one meanwhile.
            port = self.port or _free_port()
            if self._start(port):
                self.port = port
                return
            if not again:
                raise RuntimeError(f"the PostgreSQL server does not start:\n{self._log()}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop at once, as a machine does that loses its power."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _make(self) -> None:
        # initdb reads the password before it gives up root's rights, which here it never had.
        secret = self._folder / "password"
        secret.write_text(PASSWORD, encoding="ascii")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        data = self._folder / "data"
        data.mkdir(mode=0o700)
        self._give(self._folder, secret, data)
        options = ["--no-sync", "-A", "scram-sha-256", "-U", USER, "--encoding", "UTF8", "--locale", "C"]
        command = [self._bin / "initdb", "-D", data, f"--pwfile={secret}", *options]
        made = subprocess.run(command, **self._as_account(), capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(str(data / "server.key"))
        (data / "server.key").chmod(0o600)
        issued.cert_chain_pems[0].write_to_path(str(data / "server.pem"))
        self._give(data / "server.key", data / "server.pem")

    def _start(self, port: int) -> bool:
        options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [self._bin / "postgres", "-D", self._folder / "data", "-p", str(port), *options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, **self._as_account(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + START_S
        old, self.port = self.port, port
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(InterfaceError, DatabaseError, OSError):
                self.run("SELECT 1")
                return True
            time.sleep(0.02)
        self.port = old
        self.stop()
        return False

    def _as_account(self):
        if self._account is None:
            return {"cwd": "/"}
        return {"cwd": "/", "user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _give(self, *paths: Path) -> None:
        if self._account is not None:
            for path in paths:
                os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _log(self) -> str:
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
