"""The one way Matinee writes files: beside, synced, renamed. A kill at any moment leaves the old artefact or the new.

    atomic_write("metrics.json", text)                    # a file from text or bytes
    with atomic_path("users.parquet") as temp: ...        # a file some library writes to `temp`
    with atomic_folder("models/ease") as temp: ...        # a whole folder, built in `temp`

Temporary names are hidden siblings of the target (".tmp-HOST-PID-RANDOM.NAME", so the suffix is kept); those a killed
process left behind are removed by the next write to the same target.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
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

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PATH = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EEXIST, errno.EIO}
_STALE_SECONDS = 7 * 24 * 3600


def sha256(path: StrPath) -> str:
    """64 hex digits over the bytes of one file. Raises MatineeError when it cannot be read."""
    with _explained(Path(path), "read"), Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def atomic_write(path: StrPath, content: bytes | str) -> None:
    """Write one file (text as UTF-8, line ends as given); parent folders are made. Raises MatineeError."""
    data = content.encode() if isinstance(content, str) else content
    target = _resolved(path)
    if target.exists() and not target.is_file() and not target.is_dir():
        with _explained(target, "write"):  # /dev/stdout, a pipe: renaming onto it would destroy it
            target.write_bytes(data)
        return
    with atomic_path(target) as temp:
        temp.write_bytes(data)


@contextlib.contextmanager
def atomic_path(path: StrPath) -> Iterator[Path]:
    """Yield a temporary path to write a file to; leaving the block renames it onto `path`, an exception drops it.

    Raises MatineeError on a full disk or a missing permission, also where the block itself meets them.
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
    """Yield an empty temporary folder to fill; leaving the block puts it in the place of `path`, old content included.

    An exception inside the block leaves the old folder as it was. Raises MatineeError on a full disk or a missing
    permission, or when `path` is a file.
    """
    target = _resolved(path)
    with _explained(target, "write"):
        if target.exists() and not target.is_dir():
            raise MatineeError(
                "is a file, and a folder is to be written there", where=str(target), hint="choose another name"
            )
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
            shutil.rmtree(temp, ignore_errors=True)  # on success this is the old content, or nothing
        _sync(target.parent)


def make_folder(path: StrPath) -> None:
    """Make a folder and its parents, if they are not there. Raises MatineeError."""
    with _explained(Path(path), "write"):
        Path(path).mkdir(parents=True, exist_ok=True)


def discard(path: StrPath) -> None:
    """Remove a file, a link or a folder, if it is there: a kill leaves it whole, or gone under its name."""
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
    """Hold this lock file during the block; the system lets it go when the process ends, however it ends.

    Raises MatineeError at once when another process holds it. On systems without flock nothing is locked.
    """
    with _explained(Path(path), "write"):
        file = Path(path).open("a")  # noqa: SIM115 - closed below, outside of the explanation
    with file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows
            pass
        except BlockingIOError:
            raise MatineeError(
                "another process is writing here",
                where=str(Path(path).parent),
                hint="wait for it, or choose another --out",
            ) from None
        yield


def settle(path: StrPath) -> None:
    """Bring back a folder whose replacement was killed between two renames. Readers of such folders call it first.

    Only file systems without an exchanging rename know that moment; elsewhere this finds nothing to do.
    """
    target = _resolved(path)
    aside = _aside(target)
    if not aside.is_dir():
        return
    with _explained(target, "restore"):
        if target.exists():
            shutil.rmtree(aside)  # the new content arrived; only the clean-up was cut off
        else:
            aside.rename(target)


def clean(path: StrPath) -> None:
    """Remove what killed writers of this target left beside it; the files of living ones stay."""
    target = Path(path)
    host = _host()
    for left in target.parent.glob(f".tmp-*.{_escaped(target.name)}"):
        match = re.fullmatch(r"\.tmp-(\w+)-(\d+)-\w+", left.name[: -len(target.name) - 1])
        if match is None:
            continue
        with contextlib.suppress(OSError):  # another process may be cleaning too
            dead = match[1] == host and not _alive(int(match[2]))
            if dead or time.time() - left.lstat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _resolved(path: StrPath) -> Path:
    """The place itself: writing through a link keeps the link."""
    return Path(os.path.realpath(path))


def _temporary(target: Path) -> Path:
    return target.with_name(f".tmp-{_host()}-{os.getpid()}-{secrets.token_hex(4)}.{target.name}")


def _aside(target: Path) -> Path:
    return target.with_name(f".old.{target.name}")


def _host() -> str:
    """Process numbers mean something on one host only, and folders are shared between hosts."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _escaped(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # os.kill(pid, 0) would end the process there; age decides
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # alive, and somebody else's
        return True
    return True


def _sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    if path.is_symlink() or (os.name == "nt" and path.is_dir()):
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # some network file systems cannot sync a folder; a file that cannot be synced is a failure
        if not (stat.S_ISDIR(os.fstat(handle).st_mode) and error.errno in {errno.EINVAL, errno.ENOTSUP}):
            raise
    finally:
        os.close(handle)


def _swap(temp: Path, target: Path) -> None:
    """Put the folder `temp` where `target` is; afterwards `temp` holds the old content or is gone."""
    if not target.exists():
        try:
            temp.rename(target)
            return
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise  # otherwise another process came first: the last one wins, as with files
    if not _exchange(temp, target):
        aside = _aside(target)
        target.rename(aside)  # a kill here leaves no `target`: settle() brings the old content back
        temp.rename(target)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system cannot."""
    if os.name == "nt":
        return False
    at_cwd, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE on Linux; 2 is RENAME_SWAP on macOS
    names, libc = (os.fsencode(one), os.fsencode(other)), ctypes.CDLL(None)
    if hasattr(libc, "renameat2"):
        return bool(libc.renameat2(at_cwd, names[0], at_cwd, names[1], exchange) == 0)
    return hasattr(libc, "renamex_np") and bool(libc.renamex_np(*names, exchange) == 0)


@contextlib.contextmanager
def _explained(path: Path, doing: str) -> Iterator[None]:
    """Turn the operating system's refusals into one clear message; other exceptions pass."""
    try:
        yield
    except MatineeError:
        raise
    except Exception as error:
        number = _number(error)
        where, reason = str(path), "" if number is None else os.strerror(number).lower()
        if number in _FULL:
            hint = f"free some space on that disk and try again (free now: {_free(path)})"
            raise MatineeError(f"cannot {doing}: the disk is full ({reason})", where=where, hint=hint) from error
        if number in _DENIED:
            hint = "choose another folder, or change its permissions"
            raise MatineeError(f"cannot {doing}: no permission ({reason})", where=where, hint=hint) from error
        if number in _WRONG_PATH:
            raise MatineeError(f"cannot {doing}: {reason}", where=where, hint="check the path") from error
        raise


def _number(error: Exception) -> int | None:
    """The system's error number. polars and safetensors raise exceptions of their own with the number in the text."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def _free(path: Path) -> str:
    folder = next((p for p in path.parents if p.is_dir()), Path("/"))
    return f"{shutil.disk_usage(folder).free / 1e6:,.0f} MB"
