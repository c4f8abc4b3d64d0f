"""A run that is started in a folder into which others can write takes nothing from there."""

from __future__ import annotations

MODULES = (
    "locust",
    "gevent",
    "firstbell",
    "zmq",
    "cryptography",
    "keyring",
    "httptools",
    "flask",
    "sitecustomize",
    "json",
)


def test_neither_modules_nor_settings_are_taken_from_there(open_venue, tmp_path_factory):
    venue = open_venue("--accounts", "1", "--bell-in", "1s")
    here = tmp_path_factory.mktemp("planted")
    mark = here / "executed"
    for name in MODULES:
        (here / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write('{name} ')\nraise SystemExit(9)\n")
    for name in ("locust.conf", "pyproject.toml"):
        head = "" if name == "locust.conf" else "[tool.locust]\n"
        (here / name).write_text(f"{head}html = '{here}/planted.html'\nlogfile = '{here}/planted.log'\n")
    venue.folder = here
    program = "from firstbell.cli.main import main; main()"
    run = venue.firstbell_by(["-P", "-c", program], "run", "--dry-run", "--at", venue.in_seconds(6), "--json")
    assert run.returncode == 0, run.stderr
    assert not mark.exists(), mark.read_text()
    assert not list(here.glob("planted*"))
