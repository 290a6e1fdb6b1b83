"""Named sets from a local server: good ones arrive whole, bad ones leave nothing behind."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import socket
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from matinee.data.read import catalog, download
from matinee.data.read.catalog import ENTRIES, cache_folder, entry, load
from matinee.data.read.download import Limits, NoConnectionError, unzip
from matinee.errors import MatineeError

from .samples import ml_100k, ml_100k_recbole, real, write

SMALL = replace(ENTRIES["ml-100k"], events=4, users=4, movies=5, wheel=None)
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """ml-100k is the sample's size here, and has no second source unless a test says so."""
    monkeypatch.setitem(ENTRIES, "ml-100k", SMALL)


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder; counts requests; breaks off after `cut` bytes when told to."""

    cut: int | None = None
    requests = 0


class Handler(http.server.SimpleHTTPRequestHandler):
    server: Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.requests += 1
        path = Path(self.translate_path(self.path))
        if self.server.cut is None or path.suffix != ".zip":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        self.wfile.write(path.read_bytes()[: self.server.cut])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, Server, str]]:
    folder = tmp_path / "site"
    folder.mkdir()
    with Server(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, server, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def publish(site: Path, members: dict[str, bytes], *, md5: str | None = None) -> bytes:
    """Put ml-100k.zip and its checksum file on the site."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    data = packed.getvalue()
    (site / "ml-100k.zip").write_bytes(data)
    (site / "ml-100k.zip.md5").write_text(md5 or f"MD5 (ml-100k.zip) = {hashlib.md5(data).hexdigest()}\n")
    return data


def official(tmp_path: Path) -> dict[str, bytes]:
    source = ml_100k(tmp_path / "source")
    members = {f"ml-100k/{path.name}": path.read_bytes() for path in source.iterdir()}
    return {"ml-100k/": b"", "ml-100k/mku.sh": b"#!/bin/sh\n", **members}


def test_download_then_cache(
    tmp_path: Path, site: tuple[Path, Server, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, server, url = site
    publish(folder, official(tmp_path))
    cache = tmp_path / "cache"
    data = load(cache_dir=cache, base_url=url)
    assert (len(data), data.n_users, data.n_items, data.name) == (4, 4, 5, "ml-100k")
    assert "no redistribution" in capsys.readouterr().err, "the licence is shown when the set arrives"
    assert sorted(p.name for p in cache.rglob("*")) == ["ml-100k", "u.data", "u.item", "u.user"]
    asked = server.requests
    assert load(cache_dir=cache, base_url=url).fingerprint == data.fingerprint
    assert server.requests == asked, "the second time nothing is fetched"
    assert capsys.readouterr().err == "", "and the licence is not shown again"


def test_a_damaged_cache_is_fetched_again(
    tmp_path: Path, site: tuple[Path, Server, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _, url = site
    publish(folder, official(tmp_path))
    cache = tmp_path / "cache"
    load(cache_dir=cache, base_url=url)
    (cache / "ml-100k" / "u.data").write_text("1\t1\t5\t881250949\n1\t1")
    assert len(load(cache_dir=cache, base_url=url)) == 4
    assert "the cached copy is damaged" in capsys.readouterr().err
    (cache / "ml-100k" / "u.data").unlink()
    with pytest.raises(MatineeError, match="cannot be fetched"):
        load(cache_dir=cache, base_url=NOWHERE)


def test_data_dir_comes_first_and_may_lack_the_set(tmp_path: Path, site: tuple[Path, Server, str]) -> None:
    folder, server, url = site
    publish(folder, official(tmp_path))
    mine = tmp_path / "mine"
    ml_100k(mine / "ml-100k")
    assert len(load(data_dir=mine, cache_dir=tmp_path / "cache", base_url=url)) == 4
    assert server.requests == 0
    assert not (tmp_path / "cache").exists()
    assert len(load(data_dir=tmp_path / "other", cache_dir=tmp_path / "cache", base_url=url)) == 4
    (mine / "ml-100k" / "u.data").write_text("1\t1\t5\t881250949\n")
    with pytest.raises(MatineeError, match=r"mine/ml-100k: holds 1 ratings.* where ml-100k has 4 ratings"):
        load(data_dir=mine, cache_dir=tmp_path / "cache", base_url=url)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("md5", "the download is damaged: its MD5 is"),
        ("no hash", "holds no MD5 checksum"),
        ("no md5 file", "the publisher's checksum is missing"),
        ("cut", "the download broke off"),
        ("no zip", "the server answers 404"),
        ("not a zip", "is not a readable zip archive"),
        ("counts", "holds 3 ratings"),
        ("rows", "u.data, row 2: has 2 fields where 4"),
        ("empty", "no known layout"),
    ],
)
def test_bad_downloads_leave_nothing(tmp_path: Path, site: tuple[Path, Server, str], spoil: str, message: str) -> None:
    folder, server, url = site
    members = official(tmp_path)
    if spoil == "counts":
        members["ml-100k/u.data"] = members["ml-100k/u.data"].rsplit(b"\n", 2)[0]
    elif spoil == "rows":
        members["ml-100k/u.data"] = b"1\t1\t5\t881250949\n1\t1\n"
    elif spoil == "empty":
        members = {"ml-100k/other": b""}
    data = publish(folder, members, md5={"md5": "0" * 32, "no hash": "gone"}.get(spoil))
    if spoil == "not a zip":
        (folder / "ml-100k.zip").write_bytes(b"PK" + data[2:100])
        (folder / "ml-100k.zip.md5").write_text(hashlib.md5(b"PK" + data[2:100]).hexdigest())
    elif spoil == "no md5 file":
        (folder / "ml-100k.zip.md5").unlink()
    elif spoil == "no zip":
        (folder / "ml-100k.zip").unlink()
    elif spoil == "cut":
        server.cut = len(data) // 2
    with pytest.raises(MatineeError, match=message):
        load(cache_dir=tmp_path / "cache", base_url=url)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_set_that_changes_needs_no_checksum(
    tmp_path: Path, site: tuple[Path, Server, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, url = site
    publish(folder, official(tmp_path))
    (folder / "ml-100k.zip.md5").unlink()
    monkeypatch.setitem(ENTRIES, "ml-100k", replace(SMALL, fixed=False, events=5))
    assert len(load(cache_dir=tmp_path / "cache", base_url=url)) == 4


def test_killed_while_downloading(tmp_path: Path, site: tuple[Path, Server, str]) -> None:
    """The next run starts from nothing, and cleans up."""
    folder, _, url = site
    publish(folder, official(tmp_path))
    cache = tmp_path / "cache"
    script = (
        "import os, signal\nfrom matinee.data.read import catalog, download\n"
        "catalog.check_md5 = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"catalog.load(cache_dir={str(cache)!r}, base_url={url!r})\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert [p.name.split("-")[0] for p in cache.iterdir()] == [".tmp"]
    assert len(load(cache_dir=cache, base_url=url)) == 4
    assert [p.name for p in cache.iterdir()] == ["ml-100k"]


def test_without_any_source_it_says_where_to_put_the_files(tmp_path: Path) -> None:
    with pytest.raises(MatineeError) as caught:
        load("ml-1m", cache_dir=tmp_path, base_url=NOWHERE)
    assert "ml-1m is not here and cannot be fetched" in caught.value.what
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("put ratings.dat, movies.dat, users.dat of https://")
    assert str(tmp_path / "ml-1m") in caught.value.hint
    assert "--data-dir" in caught.value.hint


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name lookup can hang for ever; the opening is waited for only so long."""
    over = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        over.wait(30)
        raise socket.gaierror("late")

    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    start = time.perf_counter()
    with pytest.raises(NoConnectionError, match=r"no connection within 0\.2 s"):
        download.fetch_text("http://files.example.org/x.md5")
    assert time.perf_counter() - start < 10
    over.set()


def wheel(folder: Path, source: Path) -> Path:
    path = folder / "recbole-1.2.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("recbole/__init__.py", "raise SystemExit('imported')")
        for file in source.iterdir():
            archive.writestr(f"recbole/dataset_example/ml-100k/{file.name}", file.read_bytes())
    return path


def test_the_second_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip brings is checked, and gives the same Dataset; only the three files are taken."""
    made = wheel(tmp_path, ml_100k_recbole(tmp_path / "recbole"))
    commands: list[list[str]] = []

    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        (Path(command[command.index("--dest") + 1]) / made.name).write_bytes(made.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    source = ENTRIES["ml-100k"].wheel or catalog._RECBOLE
    monkeypatch.setitem(ENTRIES, "ml-100k", replace(SMALL, wheel=source))
    with pytest.raises(MatineeError, match="is not the expected wheel: its SHA-256"):
        load(cache_dir=tmp_path / "cache", base_url=NOWHERE)
    assert list((tmp_path / "cache").iterdir()) == []
    known = replace(source, sha256=hashlib.sha256(made.read_bytes()).hexdigest())
    monkeypatch.setitem(ENTRIES, "ml-100k", replace(SMALL, wheel=known))
    data = load(cache_dir=tmp_path / "cache", base_url=NOWHERE)
    assert {"--no-deps", "--only-binary", "recbole==1.2.1"} <= set(commands[-1])
    assert not any("://" in word for word in commands[-1]), "no registry is named: pip's own settings decide"
    kept = sorted(p.name for p in (tmp_path / "cache").rglob("*.*"))
    assert kept == ["ml-100k.inter", "ml-100k.item", "ml-100k.user"]
    ml_100k(tmp_path / "mine" / "ml-100k")
    first = load(data_dir=tmp_path / "mine")
    assert first.fingerprint == data.fingerprint
    for one, other in ((first.item_features, data.item_features), (first.user_features, data.user_features)):
        assert one is not None
        assert other is not None
        assert one.equals(other)


def test_both_sources_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENTRIES, "ml-100k", replace(SMALL, wheel=catalog._RECBOLE))
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: No matching distribution\n")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(MatineeError, match=r"cannot be reached.*pip download failed: ERROR: No matching"):
        load(cache_dir=tmp_path / "cache", base_url=NOWHERE)


def test_a_damaged_download_is_not_hidden_by_the_second_source(
    tmp_path: Path, site: tuple[Path, Server, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, url = site
    publish(folder, official(tmp_path), md5="0" * 32)
    monkeypatch.setitem(ENTRIES, "ml-100k", replace(SMALL, wheel=catalog._RECBOLE))
    with pytest.raises(MatineeError, match="the download is damaged"):
        load(cache_dir=tmp_path / "cache", base_url=url)


def archive_with(path: Path, name: str, content: bytes = b"x", *, mode: int = 0, system: int = 3) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = system, mode << 16
        archive.writestr("set/good", b"good")
        archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


@pytest.mark.parametrize("name", ["../evil", "set/../../evil", "/etc/evil", "C:/evil", "..\\evil", "\\evil"])
def test_paths_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    archive = archive_with(tmp_path / "a.zip", name)
    (tmp_path / "out").mkdir()
    for wanted in ({"set/good": "good"}, {name: "evil"}):
        with pytest.raises(MatineeError, match="leads elsewhere"):
            unzip(archive, tmp_path / "out", wanted, Limits(1000))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666, stat.S_IFIFO | 0o666])
def test_links_and_devices(tmp_path: Path, mode: int) -> None:
    archive = archive_with(tmp_path / "a.zip", "set/link", b"/etc/passwd", mode=mode)
    with pytest.raises(MatineeError, match="link or a device"):
        unzip(archive, tmp_path, {"set/good": "good"}, Limits(1000))
    assert not (tmp_path / "good").exists()


def test_bombs(tmp_path: Path) -> None:
    archive = archive_with(tmp_path / "a.zip", "set/zeros", bytes(3_000_000))
    with pytest.raises(MatineeError, match=r"more than it may, at 'set/zeros'"):
        unzip(archive, tmp_path, {"set/zeros": "zeros"}, Limits(10**9))
    with pytest.raises(MatineeError, match="more than it may"):
        unzip(archive, tmp_path, {"set/zeros": "zeros"}, Limits(1_000_000, ratio=1e6))
    unzip(archive, tmp_path, {"set/zeros": "zeros"}, Limits(3_000_000, ratio=1e6))
    assert (tmp_path / "zeros").stat().st_size == 3_000_000
    unzip(archive, tmp_path, {"set/good": "good"}, Limits(100))  # the bomb itself is not unpacked


def test_a_header_that_lies_about_its_size(tmp_path: Path) -> None:
    archive = archive_with(tmp_path / "a.zip", "set/zeros", bytes(500_000))
    data = archive.read_bytes().replace((500_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    archive.write_bytes(data)
    with pytest.raises(MatineeError, match="not a readable zip"):
        unzip(archive, tmp_path, {"set/zeros": "zeros"}, Limits(10**6, ratio=1e6))


def test_repeated_encrypted_and_corrupt_members(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive_with(tmp_path / "twice.zip", "set/good")
    with pytest.raises(MatineeError, match="one name twice"):
        unzip(tmp_path / "twice.zip", tmp_path, {"set/good": "good"}, Limits(100))
    archive = archive_with(tmp_path / "a.zip", "set/text", os.urandom(500))
    data = bytearray(archive.read_bytes())
    data[150:160] = bytes(10)
    archive.write_bytes(data)
    with pytest.raises(MatineeError, match="not a readable zip"):
        unzip(archive, tmp_path, {"set/text": "text"}, Limits(1000))


def test_unexpected_names_are_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    unzip(archive_with(tmp_path / "a.zip", "set/setup.py"), tmp_path / "out", {"set/good": "fine"}, Limits(100))
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["fine"]


def test_names(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match=r"no data set named 'ml-1M'[\s\S]*did you mean ml-1m"):
        load("ml-1M", cache_dir=tmp_path)
    with pytest.raises(MatineeError, match=r"use one of ml-100k, ml-latest-small, .*, beauty .or pass a file"):
        load("netflix!", cache_dir=tmp_path)
    for known in ENTRIES.values():
        assert entry(known.name) is known
        assert known.licence in known.describe()
        assert known.citation in known.describe()
        url = known.url()
        assert (url is None) == (known.bring is not None)
        assert url is None or url.endswith(f"/{known.name}.zip")


def test_cache_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "matinee"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in cache_folder().parents


def test_a_set_without_an_address_says_which_files_to_bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never asked for over the network, absent or damaged."""

    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(catalog, "fetch_text", asked)
    monkeypatch.setattr(catalog, "fetch", asked)
    with pytest.raises(MatineeError, match="there is no address to fetch it from") as caught:
        load("beauty", data_dir=tmp_path, cache_dir=tmp_path / "cache")
    assert f"put Beauty.txt, Beauty_item2attributes.json into {tmp_path / 'cache' / 'beauty'}" in str(caught.value)
    assert "--data-dir DIR" in str(caught.value)
    assert "one user a line" in str(caught.value)
    folder = write(tmp_path / "cache" / "beauty", {"Beauty.txt": "1 5 6\n2 6\n"})
    with pytest.raises(MatineeError, match=r"cache/beauty: lacks Beauty_item2attributes\.json\n.*Beauty\.txt has one"):
        load("beauty", cache_dir=tmp_path / "cache")
    write(folder, {"Beauty_item2attributes.json": '{"5": [3, 1], "9": []}'})
    with pytest.raises(MatineeError, match=r"holds 3 reviews, 2 users and 3 items where beauty has 198,502 reviews"):
        load("beauty", cache_dir=tmp_path / "cache")
    monkeypatch.setitem(ENTRIES, "beauty", replace(ENTRIES["beauty"], events=3, users=2, movies=3))
    data = load("beauty", cache_dir=tmp_path / "cache")
    assert data.item_features is not None
    assert data.item_features["attributes"].to_list() == [["3", "1"], None, []]


@pytest.mark.parametrize("name", ["ml-100k", "ml-latest-small", "ml-1m", "diginetica", "beauty"])
def test_real_sets_pass_their_checks(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = real(name)
    monkeypatch.undo()
    data = load(name, data_dir=folder.parent, cache_dir=tmp_path, base_url=NOWHERE)
    assert len(data) == ENTRIES[name].events
    assert list(tmp_path.iterdir()) == []
