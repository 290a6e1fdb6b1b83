"""Atomic writes, used for every file of Matinee: a kill at any moment leaves the old content or the new.

    atomic_write("metrics.json", text)                    # a file from text or bytes
    with atomic_path("users.parquet") as temp: ...        # a file some library writes to `temp`
    with atomic_folder("models/ease") as temp: ...        # a whole folder, built in `temp`

The content is written beside the target, synced, then renamed. Temporary names are hidden and keep the suffix
(".tmp-HOST-PID-RANDOM.NAME"); the next write to the same target removes those of killed processes.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from matinee.errors import MatineeError

StrPath = str | os.PathLike[str]
WINDOWS = os.name == "nt"

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PATH = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EEXIST, errno.EIO}
_STALE_SECONDS = 7 * 24 * 3600
# Windows' own error numbers, which polars and safetensors name there, as those of C
_OF_WINDOWS = {
    **{2: errno.ENOENT, 3: errno.ENOENT, 5: errno.EACCES, 19: errno.EROFS, 32: errno.EACCES, 39: errno.ENOSPC},
    **{80: errno.EEXIST, 112: errno.ENOSPC, 123: errno.ENOENT, 183: errno.EEXIST, 206: errno.ENAMETOOLONG},
}


def sha256(path: StrPath) -> str:
    """64 hex digits of the bytes of one file. Raises MatineeError when it cannot be read."""
    with _explained(Path(path), "read"), Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def atomic_write(path: StrPath, content: bytes | str) -> None:
    """Write one file (text as UTF-8, line ends as given); parent folders are made. Raises MatineeError."""
    data = content.encode() if isinstance(content, str) else content
    target = _resolved(path)
    if target.exists() and not target.is_file() and not target.is_dir():
        with _explained(target, "write"):  # /dev/stdout or a pipe: a rename would destroy it
            target.write_bytes(data)
        return
    with atomic_path(target) as temp:
        temp.write_bytes(data)


@contextlib.contextmanager
def atomic_path(path: StrPath) -> Iterator[Path]:
    """Yield a temporary path to write a file to. It is renamed to `path` at the end, and removed on an exception.

    Raises MatineeError on a full disk or a missing permission, inside the block too.
    """
    target = _resolved(path)
    with _explained(target, "write"):
        if target.exists() and not target.is_file():
            raise MatineeError("is not a regular file", where=str(target), hint="choose another name for the output")
        target.parent.mkdir(parents=True, exist_ok=True)
        clean(target)
        temp = _temporary(target)
        try:
            yield temp
            _sync(temp)
            temp.replace(target)
        finally:
            temp.unlink(missing_ok=True)
        _sync(target.parent)


@contextlib.contextmanager
def atomic_folder(path: StrPath) -> Iterator[Path]:
    """Yield an empty temporary folder to fill. It replaces `path` and all of its content at the end.

    An exception in the block leaves the old folder as it was. Raises MatineeError on a full disk or a missing
    permission, or when `path` is a file.
    """
    target = _resolved(path)
    with _explained(target, "write"):
        if target.exists() and not target.is_dir():
            raise MatineeError("is a file, not a folder", where=str(target), hint="choose another name for the output")
        target.parent.mkdir(parents=True, exist_ok=True)
        settle(target)
        clean(target)
        temp = _temporary(target)
        temp.mkdir()
        try:
            yield temp
            for folder, _, names in os.walk(temp):
                for name in names:
                    _sync(Path(folder, name))
                _sync(Path(folder))
            _swap(temp, target)
        finally:
            shutil.rmtree(temp, ignore_errors=True)  # after a success: the old content, or nothing
        _sync(target.parent)


def free_bytes(path: StrPath) -> int | None:
    """Free bytes of the disk on which this path lies, or would lie; None: unknown."""
    target = _resolved(path)
    folder = next((p for p in (target, *target.parents) if p.is_dir()), Path("/"))
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free
    return None


def make_folder(path: StrPath) -> None:
    """Make a folder and its parents where they are missing. Raises MatineeError."""
    with _explained(Path(path), "write"):
        Path(path).mkdir(parents=True, exist_ok=True)


def discard(path: StrPath) -> None:
    """Remove a file, a link or a folder, if it exists. A kill leaves it whole, or gone under its name."""
    target = Path(path)
    clean(target)
    if not os.path.lexists(target):
        return
    with _explained(target, "remove"):
        temp = target.rename(_temporary(target))
        if temp.is_dir() and not temp.is_symlink():
            shutil.rmtree(temp)
        else:
            temp.unlink()


@contextlib.contextmanager
def locked(path: StrPath) -> Iterator[None]:
    """Hold this lock file during the block. The system releases it when the process ends, however it ends.

    Raises MatineeError at once when another process holds it. Systems without flock lock nothing.
    """
    with _explained(Path(path), "write"):
        file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 - closed below: errors of the block are not about this file
    with file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows
            pass
        except BlockingIOError:
            hint = "wait for it, or choose another --out"
            raise MatineeError("another process is writing here", where=str(Path(path).parent), hint=hint) from None
        yield


def settle(path: StrPath) -> None:
    """Restore a folder whose replacement was killed between two renames. Readers of such folders call it first.

    There are two renames only on file systems that cannot exchange two names in one step.
    """
    target = _resolved(path)
    aside = _aside(target)
    if not aside.is_dir():
        return
    with _explained(target, "restore"):
        if target.exists():
            shutil.rmtree(aside)  # the new content is in place; only the clean-up was killed
        else:
            aside.rename(target)


def clean(path: StrPath) -> None:
    """Remove temporary files that killed writers of this target left beside it; those of running writers stay."""
    target, host = Path(path), _host()
    for left in target.parent.glob(f".tmp-*.{glob.escape(target.name)}"):
        match = re.fullmatch(r"\.tmp-(\w+)-(\d+)-\w+", left.name[: -len(target.name) - 1])
        if match is None:
            continue
        with contextlib.suppress(OSError):  # another process may remove it at the same time
            dead = match[1] == host and not _alive(int(match[2]))
            if dead or time.time() - left.lstat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _resolved(path: StrPath) -> Path:
    """The target of links: a write through a link keeps the link."""
    return Path(os.path.realpath(path))


def _temporary(target: Path) -> Path:
    return target.with_name(f".tmp-{_host()}-{os.getpid()}-{secrets.token_hex(4)}.{target.name}")


def _aside(target: Path) -> Path:
    return target.with_name(f".old.{target.name}")


def _host() -> str:
    """8 hex digits of the host's name: process ids are valid on one host, and folders are shared between hosts."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _alive(pid: int) -> bool:
    if WINDOWS:
        return True  # os.kill(pid, 0) would end the process there; the file's age decides
    with contextlib.suppress(PermissionError):  # it runs, under another user
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True


def _sync(path: Path) -> None:
    """Wait until the bytes of a file, or the entries of a folder, are on the disk."""
    if path.is_symlink() or (WINDOWS and path.is_dir()):
        return
    handle = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # some network file systems cannot sync a folder; for a file it is a failure
        if not (stat.S_ISDIR(os.fstat(handle).st_mode) and error.errno in {errno.EINVAL, errno.ENOTSUP}):
            raise
    finally:
        os.close(handle)


def _swap(temp: Path, target: Path) -> None:
    """Put the folder `temp` in the place of `target`; afterwards `temp` holds the old content or is gone."""
    if not target.exists():
        try:
            temp.rename(target)
            return
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise  # else another process was faster: the last one wins, as with files
    if not _exchange(temp, target):
        aside = _aside(target)
        target.rename(aside)  # after a kill here there is no `target`: settle() restores the old content
        temp.rename(target)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system cannot."""
    if WINDOWS:
        return False
    at_cwd, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE on Linux; 2 is RENAME_SWAP on macOS
    names, libc = (os.fsencode(one), os.fsencode(other)), ctypes.CDLL(None)
    if hasattr(libc, "renameat2"):
        return bool(libc.renameat2(at_cwd, names[0], at_cwd, names[1], exchange) == 0)
    return hasattr(libc, "renamex_np") and bool(libc.renamex_np(*names, exchange) == 0)


@contextlib.contextmanager
def _explained(path: Path, doing: str) -> Iterator[None]:
    """Turn errors of the operating system into one clear MatineeError; other exceptions pass."""
    try:
        yield
    except MatineeError:
        raise
    except Exception as error:
        number = _number(error)
        what, hint = "" if number is None else os.strerror(number).lower(), "check the path"
        if number in _FULL:
            what, hint = f"the disk is full ({what})", f"free some space on that disk and try again ({_free(path)})"
        elif number in _DENIED:
            what, hint = f"no permission ({what})", "choose another folder, or change its permissions"
            hint += ", or close the program that has it open" if WINDOWS else ""
        elif number not in _WRONG_PATH:
            raise
        raise MatineeError(f"cannot {doing}: {what}", where=str(path), hint=hint) from error


def _number(error: Exception) -> int | None:
    """The system's error number, if any. Exceptions of polars and safetensors hold it in their text."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    if found is None:
        return None
    return _OF_WINDOWS.get(int(found[1])) if WINDOWS else int(found[1])


def _free(path: Path) -> str:
    free = free_bytes(path)
    return "it is not known how much is free" if free is None else f"free now: {free / 1e6:,.0f} MB"
