"""What Windows and macOS lack is taken away here, and what they do otherwise is done: neither can be had in CI."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from matinee import files, profiling
from matinee.cli import app, screen
from matinee.data.moments import moment_of
from matinee.errors import MatineeError
from matinee.kernels.threads import LIMIT, n_threads
from matinee.study.evaluate_table import EvaluateTable


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much of Windows as our own branches see."""
    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr(app, "WINDOWS", True)
    monkeypatch.delattr(os, "kill")  # there it would end the process that is asked about


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("windows")
def test_files_and_folders_are_replaced_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: Path, flags: int) -> int:
        assert not path.is_dir(), "Windows opens no folders"
        assert flags & os.O_RDWR, "Windows syncs only what may be written"
        return os.open(path, flags)

    monkeypatch.setattr(files, "os", SimpleNamespace(**vars(os) | {"open": opened}))
    for text in ("one\n", "two\n"):
        files.atomic_write(tmp_path / "a.txt", text)
        with files.atomic_folder(tmp_path / "model") as temp:
            (temp / text.strip()).write_text(text, "utf-8")
    assert (tmp_path / "a.txt").read_bytes() == b"two\n"
    assert names(tmp_path / "model") == ["two"]
    assert names(tmp_path) == ["a.txt", "model"]


@pytest.mark.usefixtures("windows")
def test_what_another_process_left_stays_until_it_is_old(tmp_path: Path) -> None:
    young, old = (tmp_path / f".tmp-{files._host()}-{number}-abcd.a.txt" for number in (1, 2))
    for path in (young, old):
        path.write_bytes(b"")
    os.utime(old, (1e9, 1e9))
    files.clean(tmp_path / "a.txt")
    assert names(tmp_path) == [young.name]


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(
    ("number", "says"),
    [
        (112, "the disk is full"),
        (39, "the disk is full"),
        (5, r"no permission[\s\S]*close the program that has it open"),
        (32, r"no permission[\s\S]*close the program that has it open"),
        (3, r"cannot write: no such file or directory"),
        (206, "cannot write: file name too long"),
    ],
)
def test_windows_own_error_numbers(tmp_path: Path, number: int, says: str) -> None:
    """polars and safetensors put them into their texts; 112 is a host that is down elsewhere, and 32 a broken pipe."""
    with pytest.raises(MatineeError, match=says), files.atomic_path(tmp_path / "a.parquet"):
        raise RuntimeError(f"There is not enough space on the disk. (os error {number})")


@pytest.mark.usefixtures("windows")
def test_an_unknown_number_of_windows_is_no_guess(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="os error 28"), files.atomic_path(tmp_path / "a"):
        raise RuntimeError("(os error 28)")  # of C it would be a full disk


def test_without_fcntl_a_lock_lets_everybody_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with files.locked(tmp_path / "lock"):
        with pytest.raises(MatineeError, match="another process is writing here"), files.locked(tmp_path / "lock"):
            pass
        monkeypatch.setitem(sys.modules, "fcntl", None)
        with files.locked(tmp_path / "lock"):
            assert names(tmp_path) == ["lock"]


# --- the machine ------------------------------------------------------------------------------------------------------


def test_without_proc_and_resource_the_peak_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "STATUS", tmp_path / "nothing")
    monkeypatch.setattr(profiling, "CLEAR_REFS", tmp_path / "nowhere" / "nothing")
    monkeypatch.setitem(sys.modules, "resource", None)
    with profiling.measured() as cost:
        pass
    assert cost.peak_mb is None
    assert cost.seconds > 0


def test_cores_are_counted_where_none_are_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LIMIT, raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert n_threads() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert n_threads() == 1


def test_times_before_1970() -> None:
    assert moment_of(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert moment_of(-86_400) == datetime(1969, 12, 31, tzinfo=UTC)
    assert moment_of(1_574_327_703.5) == datetime(2019, 11, 21, 9, 15, 3, 500_000, tzinfo=UTC)
    for beyond in (-(10**11), 10**12, 10**20):
        with pytest.raises(OverflowError):
            moment_of(beyond)


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("encoding", "escaped"), [("cp1252", True), ("ascii", True), ("utf-8", False)])
def test_json_keeps_letters_that_the_stream_lacks(
    encoding: str, escaped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline="\r\n"))
    screen.emit({"title": "아가씨 ±"})
    sys.stdout.flush()
    assert json.loads(raw.getvalue().decode(encoding)) == {"title": "아가씨 ±", "warnings": []}
    assert (b"\\u" in raw.getvalue()) is escaped


@pytest.mark.usefixtures("windows")
def test_a_reader_that_left_is_known_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as quiet:
        monkeypatch.setattr(sys, "stdout", quiet)
        with pytest.raises(typer.Exit) as left, app._explained(debug=False):
            raise OSError(errno.EINVAL, "Invalid argument")
    assert left.value.exit_code == app.BROKEN_PIPE


@pytest.mark.usefixtures("windows")
def test_an_invalid_name_is_no_reader_that_left(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, app._explained(debug=False):
        raise OSError(errno.EINVAL, "Invalid argument", "a|b.csv")
    assert left.value.exit_code == app.FIXABLE
    assert "a|b.csv: Invalid argument" in capsys.readouterr().err


def test_a_file_of_candidates_may_be_named_with_backslashes() -> None:
    assert EvaluateTable(candidates=r"sampled\negatives").rules("test") == [Path(r"sampled\negatives")]
    with pytest.raises(ValueError, match='neither "all" nor "observed" nor "new" nor a file'):
        EvaluateTable(candidates="sampled")
