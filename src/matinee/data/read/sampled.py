"""What a look at a file reads of it: the first 4 MB in whole lines, and the end where the file is not compressed."""

from __future__ import annotations

import bz2
import gzip
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from matinee.data.read.tables import JSON, PARQUET
from matinee.data.read.text import compression, is_utf8, plain_suffix, start
from matinee.errors import MatineeError

HEAD, TAIL = 4_000_000, 1_000_000
PARQUET_ROWS, PARQUET_CELLS = 100_000, 2_000_000
ENDING = 10_000
Kind = Literal["text", "json", "parquet"]
_BOMS = (b"\xff\xfe", b"\xfe\xff")
_OTHERS = {
    b"SQLite format 3": "a database of SQLite: export its table as CSV",
    b"\x89HDF": "an HDF5 file: write its table as CSV or Parquet",
    b"\x93NUMPY": "an array of NumPy: load it, and pass it to mt.read",
    b"%PDF": "a PDF: export its table as CSV",
    b"\x80\x04": "a pickle, which may run anything when it is opened: write its table as CSV or Parquet",
}


@dataclass(frozen=True)
class Sample:
    """What was read of a file. copy: its beginning, as a file of the same name without the compression. tail: its
    first line and its last lines; None where all was read, or the end cannot be reached without the rest.

    share: the part of the file that `copy` is, by bytes; None: not known. rows: of a Parquet file, which says it.
    """

    path: Path
    copy: Path
    kind: Kind
    encoding: str
    compression: str | None
    whole: bool
    share: float | None
    words: str
    tail: Path | None = None
    rows: int | None = None

    def text(self, size: int = 1 << 17) -> str:
        """The beginning of a text file, decoded."""
        text = self.copy.read_bytes()[:size].decode(self.encoding, "replace").removeprefix("\ufeff")
        return text if len(text) < size // 2 else text[: text.rfind("\n") + 1] or text


def take(path: Path, folder: Path, size: int = HEAD) -> Sample:
    """Read the sample of a file into a folder. Raises MatineeError for empty, binary and broken files."""
    _refuse_workbook(path)
    packed = compression(path)
    data = start(path, size)
    if not data.strip():
        raise MatineeError("the file is empty", where=str(path), hint="check where it came from")
    suffix = plain_suffix(path)
    if packed is None and (data.startswith(b"PAR1") or suffix in PARQUET):
        return _parquet(path, folder)
    _refuse_binary(path, data)
    whole = len(data) < size
    tail = b"" if whole or packed is not None else _end(path, len(data))
    encoding = _encoding(data, tail)
    name = path.name if packed is None or plain_suffix(path) == path.suffix.lower() else path.stem
    is_json = suffix in JSON or (data.lstrip()[:1] in (b"{", b"[") and b'"' in data[:200])
    if is_json:
        _refuse_other_json(path, data)
    copy = folder / (name if not is_json or suffix in JSON else f"{name}.jsonl")
    copy.write_bytes(data if whole else _whole_lines(data, encoding))
    end = None
    if tail and encoding != "utf-16" and not data.lstrip().startswith(b"["):
        end = folder / "tail" / copy.name
        end.parent.mkdir()
        end.write_bytes(data.partition(b"\n")[0] + b"\n" + tail.partition(b"\n")[2])
        tail = tail.partition(b"\n")[2]
    share = 1.0 if whole else _share(path, packed, len(data))
    if share is not None and not whole:
        share *= copy.stat().st_size / len(data)
    if end is not None and share is not None:  # lines at the end may be longer, as ids grow
        width = copy.stat().st_size / max(copy.read_bytes().count(b"\n"), 1)
        share *= (width + len(tail) / max(tail.count(b"\n"), 1)) / (2 * width)
    words = "all of it" if whole else _words(size, end is not None)
    return Sample(path, copy, "json" if is_json else "text", encoding, packed, whole, share, words, end)


def _words(size: int, end: bool) -> str:
    head = f"the first {size / 1e6:g} MB"
    return f"{head} and the last {TAIL / 1e6:g} MB" if end else head


def _refuse_workbook(path: Path) -> None:
    if path.suffix.lower() in (".xlsx", ".xls", ".ods"):
        raise MatineeError("is a workbook, not a text file", where=str(path), hint="save its sheet as CSV")


def _refuse_other_json(path: Path, data: bytes) -> None:
    """Of objects, each has a line; only a list of them may go over lines."""
    first = data.lstrip().partition(b"\n")[0]
    if first.startswith(b"["):
        return
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        hint = 'write one object a line, {"user_id": 1, "item_id": 2}'
        raise MatineeError("is one JSON object, not an object a line", where=str(path), hint=hint) from None


def _refuse_binary(path: Path, data: bytes) -> None:
    for magic, words in _OTHERS.items():
        if data.startswith(magic):
            what, _, hint = words.partition(": ")
            raise MatineeError(f"is {what}", where=str(path), hint=hint)
    if b"\0" in data[:100_000] and data[:2] not in _BOMS:
        hint = "pass a text file (CSV, TSV, JSON lines) or Parquet; UTF-16 text has to begin with its mark"
        raise MatineeError("is a binary file: it holds zero bytes", where=str(path), hint=hint)


def _encoding(data: bytes, tail: bytes) -> str:
    if data[:2] in _BOMS:
        return "utf-16"
    return "utf-8" if is_utf8(data) and is_utf8(tail.partition(b"\n")[2]) else "latin-1"


def _whole_lines(data: bytes, encoding: str) -> bytes:
    """The data without a line that is cut at its end, and without a JSON list's last object that is."""
    if encoding == "utf-16":
        text = data[: len(data) // 2 * 2].decode("utf-16", "ignore")
        return text[: text.rfind("\n") + 1].encode("utf-16")
    if data.lstrip().startswith(b"["):
        return _whole_objects(data)
    end = data.rfind(b"\n") + 1 or len(data)
    for _ in range(50):  # a field in quotation marks may go over lines: cut where all are closed
        if data.count(b'"', 0, end) % 2 == 0 or (before := data.rfind(b"\n", 0, end - 1) + 1) <= 0:
            break
        end = before
    return data[:end] if data.count(b'"', 0, end) % 2 == 0 else data[: data.rfind(b"\n") + 1 or len(data)]


def _whole_objects(data: bytes) -> bytes:
    """A JSON list up to the last object that begins a line, or follows `},` on one line."""
    for border in (b"},\n", b"},", b"}, "):
        if (end := data.rfind(border)) > 0:
            return data[: end + 1] + b"]"
    return data


def _share(path: Path, packed: str | None, size: int) -> float | None:
    """The part of the file that its first `size` bytes are."""
    if packed is None:
        return size / path.stat().st_size
    if packed == "zip":
        with zipfile.ZipFile(path) as archive:
            return size / max(sum(entry.file_size for entry in archive.infolist() if not entry.is_dir()), size)
    if packed == "zst":
        return None
    with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) if packed == "gz" else bz2.BZ2File(raw) as file:
        file.read(size)
        return raw.tell() / path.stat().st_size


def _end(path: Path, after: int) -> bytes:
    """The last bytes of a file, none of the first `after`."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - TAIL, after))
        return file.read()


def _parquet(path: Path, folder: Path) -> Sample:
    """The first rows, and the last."""
    copy, tail = folder / f"{path.stem}.parquet", folder / "tail" / f"{path.stem}.parquet"
    try:
        frame = pl.scan_parquet(path, glob=False)
        rows = int(frame.select(pl.len()).collect().item())
        most = min(PARQUET_ROWS, max(PARQUET_CELLS // max(len(frame.collect_schema()), 1), ENDING))
        frame.head(most).collect().write_parquet(copy, compression="uncompressed")
        if rows > most:
            tail.parent.mkdir()
            last = frame.slice(max(rows - ENDING, most)).collect()
            last.write_parquet(tail, compression="uncompressed")
    except (pl.exceptions.PolarsError, OSError) as error:
        what = f"is not a readable Parquet file: {str(error).strip().splitlines()[0]}"
        raise MatineeError(what, where=str(path), hint="write or fetch it again") from error
    whole = rows <= most
    words = "all of it" if whole else f"the first {most:,} rows and the last {min(ENDING, rows - most):,}"
    share = 1.0 if whole else most / rows
    return Sample(path, copy, "parquet", "utf-8", None, whole, share, words, tail if tail.exists() else None, rows)
