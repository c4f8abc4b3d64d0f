"""What others could have planted is refused by name, also when it is root who runs and others who plant."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from firstbell.config.private_file import read_private
from firstbell.config.private_folder import guard_folder, open_own_folder, refuse_open_way
from firstbell.errors import RunError

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def state(tmp_path):
    state = tmp_path / "state"
    (state / "logs").mkdir(parents=True)
    state.chmod(0o700)
    for name in ("journal.db", "logs/firstbell.log"):
        (state / name).write_text("ours")
    return state


def test_what_is_not_there_is_nobodys(tmp_path):
    guard_folder(tmp_path / "none" / "yet")


def test_open_permissions_are_closed(state):
    for path, opened in ((state, 0o755), (state / "logs", 0o777), (state / "journal.db", 0o664)):
        path.chmod(opened)
    guard_folder(state)
    assert mode(state) == mode(state / "logs") == 0o700
    assert mode(state / "journal.db") == mode(state / "logs" / "firstbell.log") == 0o600


@pytest.mark.parametrize("opened", [0o720, 0o702, 0o777])
def test_a_folder_into_which_others_could_write_is_refused_as_it_is(state, opened):
    state.chmod(opened)
    with pytest.raises(RunError, match="others can write into .*state: look into it, then run: chmod 700"):
        guard_folder(state)
    assert mode(state) == opened


PLACES = [
    "journal.db",
    "journal.db-wal",
    "journal.db-shm",
    "logs",
    "logs/firstbell.log",
    "locks",
    "halted",
    "halted.lock",
]
PLACES += ["engines", "captcha", "measured.json", "installation.key"]


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("kind", ["link", "dangling", "pipe"])
def test_links_and_pipes_are_refused_by_their_names(state, tmp_path, name, kind):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    place = state / name
    if place.is_dir():
        (place / "firstbell.log").unlink()
        place.rmdir()
    place.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(victim if kind == "link" else tmp_path / "nowhere")
    with pytest.raises(RunError, match=f"{place} is "):
        guard_folder(state)
    assert victim.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_the_folder_itself_may_be_no_link_and_no_file(state, tmp_path):
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(state)
    file.touch()
    with pytest.raises(RunError, match="link is a symbolic link"):
        guard_folder(link)
    with pytest.raises(RunError, match="file is no folder"):
        guard_folder(file)


def test_the_cache_heals_itself(state, tmp_path):
    (state / "cache").mkdir()
    (state / "cache" / "cache.db").symlink_to(tmp_path)
    guard_folder(state)


def test_a_way_that_others_could_turn_is_refused(state, tmp_path):
    middle = tmp_path / "middle"
    middle.mkdir()
    inner = state.rename(middle / "state")
    middle.chmod(0o777)
    with pytest.raises(RunError, match="others can write into .*middle: run: chmod o-w"):
        guard_folder(inner)
    middle.chmod(0o1777)
    guard_folder(inner)
    link = tmp_path / "way"
    link.symlink_to(middle)
    middle.chmod(0o777)
    with pytest.raises(RunError, match="middle"):
        refuse_open_way(link / "config.ini")


@needs_root
def test_a_group_of_ones_own_may_write_above_and_one_of_others_may_not(state, tmp_path):
    tmp_path.chmod(0o770)
    guard_folder(state)
    os.chown(tmp_path, -1, NOBODY)
    with pytest.raises(RunError, match="a group of others can write into"):
        guard_folder(state)


@needs_root
@pytest.mark.parametrize("name", [".", "journal.db", "logs", "logs/firstbell.log"])
def test_what_another_user_made_is_refused(state, name):
    os.chown(state / name, NOBODY, NOBODY)
    with pytest.raises(RunError, match="belongs to another user"):
        guard_folder(state)


@needs_root
def test_a_link_in_place_of_a_config_that_another_user_made_is_refused(tmp_path):
    ours, link = tmp_path / "ours.ini", tmp_path / "config.ini"
    ours.write_text("x")
    ours.chmod(0o600)
    link.symlink_to(ours)
    assert read_private(link, 10) == b"x"
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(ValueError, match="config.ini belongs to another user"):
        read_private(link, 10)


@needs_root
def test_a_config_of_another_user_is_refused_unless_its_folder_is_his(tmp_path):
    folder = tmp_path / "his"
    folder.mkdir()
    config = folder / "config.ini"
    config.write_text("x")
    config.chmod(0o600)
    os.chown(config, NOBODY, NOBODY)
    with pytest.raises(ValueError, match="belongs to another user"):
        read_private(config, 10)
    link = tmp_path / "config.ini"
    link.symlink_to(config)
    with pytest.raises(ValueError, match="belongs to another user"):
        read_private(link, 10)
    # As under sudo: root works in his folder, with his file.
    os.chown(folder, NOBODY, NOBODY)
    assert read_private(config, 10) == b"x"


def test_a_config_that_others_could_replace_is_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    config = folder / "config.ini"
    config.write_text("x")
    config.chmod(0o600)
    folder.chmod(0o777)
    with pytest.raises(ValueError, match="others can write into .*open: run: chmod o-w"):
        read_private(config, 10)


@needs_root
def test_another_user_can_plant_nothing_that_works(tmp_path):
    """A real other user, in the folder above, before the run makes its own."""
    shared = tmp_path / "shared"
    shared.mkdir()
    for folder in (shared, *shared.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o1777 if folder == shared else 0o755)
    program = (
        f"import os; os.setuid({NOBODY}); here = {str(shared)!r}\n"
        "os.symlink('/etc/passwd', here + '/linked'); os.mkdir(here + '/made', 0o755)\n"
        "open(here + '/config.ini', 'w').write('[Order_A]'); os.chmod(here + '/config.ini', 0o600)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    for name, said in (("linked", "symbolic link"), ("made", "belongs to another user")):
        with pytest.raises(RunError, match=said):
            guard_folder(shared / name)
        with pytest.raises((RunError, OSError)):
            open_own_folder(shared / name)
    with pytest.raises(ValueError, match="belongs to another user"):
        read_private(shared / "config.ini", 100)


def test_ones_own_folder_is_opened_made_and_closed_to_others(tmp_path):
    folder = tmp_path / "run"
    for opened in (None, 0o777):
        if opened is not None:
            folder.chmod(opened)
        os.close(open_own_folder(folder))
        assert mode(folder) == 0o700
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(OSError, match="directory|link"):
        open_own_folder(link)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o177, 0o777])
def test_whatever_the_umask_a_process_keeps_to_itself(tmp_path, umask):
    program = (
        "import os, resource; from firstbell.config.private_process import be_private\n"
        f"os.umask({umask}); be_private(); open('file', 'w'); os.mkdir('folder')\n"
        "assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    assert (mode(tmp_path / "file"), mode(tmp_path / "folder")) == (0o600, 0o700)
