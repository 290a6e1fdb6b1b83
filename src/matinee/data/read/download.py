"""Downloads, publishers' checksums and archives: bytes that are used only after checks."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import queue
import re
import stat
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from matinee import files
from matinee.errors import MatineeError
from matinee.notebook import in_notebook
from matinee.progress import open_bar

CONNECT_SECONDS = 5.0
STALL_SECONDS = 60.0
_CHUNK = 1 << 18


class NoConnectionError(MatineeError):
    """The server could not be reached; the content itself may be right."""


@dataclass(frozen=True)
class Limits:
    """The most an archive may unpack to: bytes in total, and how many times its own size."""

    total: int
    ratio: float = 100.0


def fetch(url: str, target: Path, *, progress: bool = True) -> None:
    """Download into `target` (a temporary place of the caller's). Raises NoConnectionError when the server does not
    answer within 5 s, MatineeError when the transfer breaks off or the file is not there."""
    with _opened(url) as response, target.open("wb") as file:
        size = int(response.headers.get("Content-Length") or 0)
        with _bar(PurePosixPath(url).name, size, shown=progress) as advance:
            while chunk := _received(response, _CHUNK, url):
                file.write(chunk)
                advance(len(chunk))
    if size and target.stat().st_size != size:
        what = f"the download broke off: {target.stat().st_size:,} of {size:,} bytes came"
        raise MatineeError(what, where=url, hint="try again")


def fetch_text(url: str) -> str | None:
    """A short text, None when the server has no such file."""
    try:
        with _opened(url) as response:
            return _received(response, 1 << 16, url).decode("utf-8", "replace")
    except MatineeError as error:
        if isinstance(error.__cause__, urllib.error.HTTPError) and error.__cause__.code == 404:
            return None
        raise


def check_md5(path: Path, published: str, url: str) -> None:
    """Compare with the publisher's .md5 file ("HASH  NAME" or "MD5 (NAME) = HASH")."""
    found = re.search(r"\b[0-9a-fA-F]{32}\b", published)
    if found is None:
        raise MatineeError("holds no MD5 checksum", where=url, hint="try again later")
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
    if actual != found[0].lower():
        what = f"the download is damaged: its MD5 is {actual}, the publisher says {found[0].lower()}"
        raise MatineeError(what, where=url.removesuffix(".md5"), hint="try again")


def unzip(archive: Path, folder: Path, wanted: Mapping[str, str], limits: Limits) -> None:
    """Unpack the members named in `wanted` (member -> file name in `folder`), and nothing else.

    An archive with a path that leads out of its folder, a link, a repeated name or too much content is refused whole,
    also where that member is not wanted: it was made so on purpose. Other members that are not wanted are skipped.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            members = {info.filename: info for info in source.infolist()}
            if len(members) < len(source.infolist()):
                raise _hostile(archive, "holds one name twice")
            for info in members.values():
                _check_member(archive, info)
            room = min(limits.total, int(limits.ratio * archive.stat().st_size))
            for member, name in wanted.items():
                if member in members:
                    room = _extract(source, members[member], folder / name, archive, room)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise MatineeError(f"is not a readable zip archive: {error}", where=archive.name, hint="try again") from error


def pip_download(requirement: str, sha256: str, folder: Path) -> Path:
    """Fetch one wheel with pip, without dependencies; it is neither installed nor imported. Its path. Raises
    NoConnectionError when pip cannot get it, MatineeError when it is another file than the one known."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoConnectionError("pip did not finish within 120 s", where=requirement) from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        lines = done.stderr.strip().splitlines() or ["no wheel came"]
        raise NoConnectionError(f"pip download failed: {lines[-1]}", where=requirement)
    if (actual := files.sha256(wheels[0])) != sha256:
        what = f"is not the expected wheel: its SHA-256 is {actual}, expected {sha256}"
        raise MatineeError(what, where=wheels[0].name, hint="do not use it; report where pip got it from")
    return wheels[0]


def _check_member(archive: Path, info: zipfile.ZipInfo) -> None:
    name, mode = info.filename, info.external_attr >> 16
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or "\x00" in name:
        raise _hostile(archive, f"holds a path that leads elsewhere: {name!r}")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _hostile(archive, f"holds a link or a device: {name!r}")


def _extract(source: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, archive: Path, room: int) -> int:
    """Unpack one member, counting real bytes, not those its header declares. Returns the room that is left."""
    with source.open(info) as packed, target.open("wb") as file:
        while chunk := packed.read(_CHUNK):
            room -= len(chunk)
            if room < 0:
                raise _hostile(archive, f"unpacks to more than it may, at {info.filename!r}")
            file.write(chunk)
    return room


def _hostile(archive: Path, what: str) -> MatineeError:
    return MatineeError(what, where=archive.name, hint="do not use this archive; fetch it from its publisher")


def _received(response: Any, count: int, url: str) -> bytes:
    try:
        return bytes(response.read(count))
    except (OSError, http.client.HTTPException) as error:
        raise MatineeError(f"the download broke off: {error}", where=url, hint="try again") from error


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Any]:
    """The response of a GET. It is opened in another thread, because a name lookup has no time limit of its own."""
    connected = threading.Event()
    answer: queue.Queue[Any] = queue.Queue()
    opener = urllib.request.build_opener(_handler(connected))

    def ask() -> None:
        try:
            answer.put(opener.open(url, timeout=CONNECT_SECONDS))
        except Exception as error:  # noqa: BLE001 - raised again in the thread that asked
            answer.put(error)
        connected.set()  # also after a failure: there is nothing left to wait for

    threading.Thread(target=ask, daemon=True).start()
    connected.wait(CONNECT_SECONDS)
    try:
        response = answer.get(timeout=STALL_SECONDS + 1 if connected.is_set() else 0)
    except queue.Empty:
        response = TimeoutError(f"no connection within {CONNECT_SECONDS:g} s")
    if isinstance(response, urllib.error.HTTPError):
        response.close()
        text = f"the server answers {response.code} {response.reason}"
        raise MatineeError(text, where=url, hint="try again later") from response
    if isinstance(response, (OSError, http.client.HTTPException)):
        reason = getattr(response, "reason", response)
        raise NoConnectionError(f"cannot be reached: {reason}", where=url) from response
    if isinstance(response, Exception):
        raise response
    with response:
        yield response


def _handler(connected: threading.Event) -> urllib.request.BaseHandler:
    """urllib with two time limits: a short one for the connection, a long one for the bytes."""

    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            connected.set()
            self.sock.settimeout(STALL_SECONDS)

    class Secure(Plain, http.client.HTTPSConnection): ...

    class Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, req)

        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Secure, req)

    return Handler()


@contextlib.contextmanager
def _bar(name: str, size: int, *, shown: bool) -> Iterator[Any]:
    """A progress bar on a terminal's stderr or in a notebook, silence elsewhere. Yields advance(bytes)."""
    if shown and in_notebook():
        with _bar_in_notebook(name, size) as advance:
            yield advance
        return
    if not (shown and sys.stderr.isatty()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=size or None)
        yield lambda count: bar.advance(task, count)


@contextlib.contextmanager
def _bar_in_notebook(name: str, size: int) -> Iterator[Any]:
    bar, total = open_bar(name, size or None), 0

    def advance(count: int) -> None:
        nonlocal total
        total += count
        if bar is not None:
            bar.show(f"bytes of {name}", total, size or None)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.close()


def wheel_members(requirement: str, sha256: str, wanted: Mapping[str, str], folder: Path, limits: Limits) -> None:
    """Unpack a few files of a wheel into `folder`; the wheel itself does not stay."""
    with tempfile.TemporaryDirectory() as temp:
        unzip(pip_download(requirement, sha256, Path(temp)), folder, wanted, limits)
