"""Runs ``firstbell`` again and again without loading it each time: everything is imported once, then each is a fork.

What it hears on its socket is a JSON object, with the descriptors of what the process's standard streams are to be and
of a socket that its end is told on; it answers with the process's number. `firstbell_process` is the other side.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import random
import runpy
import select
import signal
import socket
import struct
import sys
import time

STATUS = struct.Struct("i")
FDS = 4
MOST = 1 << 20
DESCRIPTORS = 4096


def load():
    package = importlib.import_module("firstbell.cli")
    for module in pkgutil.iter_modules(package.__path__, "firstbell.cli."):
        importlib.import_module(module.name)
    # What is there already is not touched by each fork's garbage collection, and so need not be copied.
    gc.freeze()


def serve(ours):
    """Fork at each request; returns in the fork, with what it is to be."""
    children = {}
    awake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([ours, awake], [], [])
        if awake in ready:
            os.read(awake, MOST)
            for pid in tuple(children):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    # Whoever asked for it may have gone.
                    with children.pop(pid) as told, contextlib.suppress(OSError):
                        told.send(STATUS.pack(os.waitstatus_to_exitcode(status)))
        if ours in ready:
            data, fds, _, _ = socket.recv_fds(ours, MOST, FDS)
            if not data:
                ours.close()
                sys.exit(0)
            *streams, status_fd = fds
            if (pid := os.fork()) == 0:
                for each in (ours, *children.values()):
                    # Whatever has its number next is not to be closed with it.
                    each.detach()
                signal.set_wakeup_fd(-1)
                return json.loads(data), streams
            children[pid] = socket.socket(fileno=status_fd)
            for fd in streams:
                os.close(fd)
            ours.send(STATUS.pack(pid))


def become(request, streams):
    """Be in the state in which a process of its own begins."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if request["session"]:
        os.setsid()
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
    os.closerange(3, DESCRIPTORS)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    time.tzset()
    random.seed()
    sys.path[0] = request["cwd"]
    raw = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    for name, fd, errors in (("stdout", 1, "strict"), ("stderr", 2, "backslashreplace")):
        data = open(fd, "wb", 0 if raw else -1, closefd=False)  # noqa: SIM115 - for good
        text = io.TextIOWrapper(data, "utf-8", errors, line_buffering=name == "stderr", write_through=raw)
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)
    sys.argv = ["firstbell", *request["arguments"]]


if __name__ == "__main__":
    load()
    become(*serve(socket.socket(fileno=int(sys.argv[1]))))
    runpy.run_module("firstbell", run_name="__main__", alter_sys=True)
