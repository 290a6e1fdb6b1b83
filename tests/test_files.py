"""Atomic writes: old or new, never half; refusals of the system become one clear message."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from matinee import files
from matinee.errors import MatineeError


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_write_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "new" / "metrics.json"
    files.atomic_write(target, "first\r\n")
    files.atomic_write(target, "zwölf".encode())
    assert target.read_bytes() == "zwölf".encode()
    assert names(target.parent) == ["metrics.json"]


def test_an_exception_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.atomic_write(target, "old")

    def half() -> None:
        with files.atomic_path(target) as temp:
            temp.write_text("half")
            assert temp.parent == tmp_path
            assert temp.suffix == ".txt"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_write_goes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files.atomic_write(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "x"


def test_devices_are_written_to_not_replaced() -> None:
    files.atomic_write("/dev/null", "x")
    assert not Path("/dev/null").is_file()


def test_file_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.atomic_write(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("can_exchange", [True, False])
def test_folder_is_replaced_whole(tmp_path: Path, can_exchange: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can_exchange:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    target = tmp_path / "model"
    with files.atomic_folder(target) as temp:
        (temp / "sub").mkdir()
        (temp / "sub" / "old").write_text("1")
    with files.atomic_folder(target) as temp:
        assert (target / "sub" / "old").exists(), "the old content stays until the new is complete"
        (temp / "new").write_text("2")
    assert names(target) == ["new"]
    assert names(tmp_path) == ["model"]

    def half() -> None:
        with files.atomic_folder(target) as temp:
            (temp / "newer").write_text("3")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert names(target) == ["new"]
    assert names(tmp_path) == ["model"]


def test_two_writers_of_one_folder(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with files.atomic_folder(target) as slow:
        with files.atomic_folder(target) as quick:
            (quick / "quick").write_text("1")
        (slow / "slow").write_text("2")
    assert names(target) == ["slow"]
    assert names(tmp_path) == ["model"]


def test_another_writer_between_check_and_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, rename = tmp_path / "model", Path.rename

    def late(self: Path, to: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        target.mkdir()
        (target / "quick").write_text("1")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", late)
    with files.atomic_folder(target) as temp:
        (temp / "slow").write_text("2")
    assert names(target) == ["slow"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("kill_at", [1, 2, 3])
def test_kill_between_the_renames_of_a_folder(tmp_path: Path, kill_at: int) -> None:
    """Without an exchanging rename there is a moment without `model`; settle() and the next write both repair it."""
    target = tmp_path / "model"
    with files.atomic_folder(target) as temp:
        (temp / "old").write_text("1")
    script = f"""
import os, signal, shutil, pathlib
from matinee import files
calls = 0
def counted(call):
    def wrapped(*a, **k):
        global calls
        calls += 1
        if calls == {kill_at}:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*a, **k)
    return wrapped
files._exchange = lambda one, other: False
pathlib.Path.rename = counted(pathlib.Path.rename)
shutil.rmtree = counted(shutil.rmtree)
with files.atomic_folder({str(target)!r}) as temp:
    (temp / "new").write_text("2")
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    files.settle(target)
    assert names(target) == (["new"] if kill_at == 3 else ["old"])
    with files.atomic_folder(target) as temp:
        (temp / "newest").write_text("3")
    assert names(target) == ["newest"]
    assert names(tmp_path) == ["model"], "what the killed process left is cleaned"


def test_leftovers_of_the_dead_go_and_of_the_living_stay(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = tmp_path / f".tmp-{files._host()}-{ended.pid}-abcd.a.txt"
    living = tmp_path / f".tmp-{files._host()}-{os.getppid()}-abcd.a.txt"
    elsewhere = tmp_path / ".tmp-0123abcd-1-abcd.a.txt"
    ancient = tmp_path / ".tmp-0123abcd-2-abcd.a.txt"
    for path in (dead, living, elsewhere, ancient):
        path.write_text("")
    os.utime(ancient, (time.time() - 1e6,) * 2)
    files.atomic_write(tmp_path / "a.txt", "x")
    assert names(tmp_path) == sorted([living.name, elsewhere.name, "a.txt"])


def test_full_disk_is_one_clear_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.atomic_write(tmp_path / "a", "old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MatineeError, match=r"a: cannot write: the disk is full[\s\S]*hint: free some space"):
        files.atomic_write(tmp_path / "a", "new")
    with pytest.raises(MatineeError, match="disk is full"), files.atomic_folder(tmp_path / "f") as temp:
        (temp / "x").write_text("y")
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_real_limit_met_by_polars(tmp_path: Path) -> None:
    """polars raises its own exceptions; a file size limit is the full disk any user can have."""
    script = f"""
import resource, signal, polars as pl
from matinee import files, errors
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
frame = pl.DataFrame({{"x": range(300_000)}})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with files.atomic_path({str(tmp_path / "big.parquet")!r}) as temp:
        frame.write_parquet(temp, compression="uncompressed")
except errors.MatineeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert "big.parquet: cannot write: the disk is full" in done.stdout
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MatineeError, match=r"no permission[\s\S]*choose another folder"):
        files.atomic_write(tmp_path / "a", "x")


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(MatineeError, match="is a file"), files.atomic_folder(tmp_path / "file"):
        pass
    with pytest.raises(MatineeError, match="not a regular file"):
        files.atomic_write(tmp_path / "folder", "x")
    with pytest.raises(MatineeError, match="cannot write"):
        files.atomic_write(tmp_path / "file" / "below", "x")


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(MatineeError, match="cannot read"):
        files.sha256(tmp_path / "b")
