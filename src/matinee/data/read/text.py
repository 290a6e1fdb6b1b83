"""The bytes of a text file: compression, encoding, and whether it really quotes its fields."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.errors import MatineeError, listed, offered, option

MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zst"}
SUFFIXES = (".gz", ".bz2", ".zip", ".zst")
_CHUNK = 1 << 24
_NAMES = {"gz": "gzip", "bz2": "bzip2", "zip": "zip", "zst": "zstd"}
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)  # what polars raises of a broken file
UTF8 = ("utf-8", "utf8", "utf-8-sig")


def compression(path: Path) -> str | None:
    """gz, bz2, zip or zst by the first bytes; by the name's end where a file of that name is something else."""
    with _readable(path), path.open("rb") as file:
        first = file.read(4)
    found = next((kind for magic, kind in MAGIC.items() if first.startswith(magic)), None)
    return found or (path.suffix.lower()[1:] if path.suffix.lower() in SUFFIXES else None)


def plain_suffix(path: Path) -> str:
    """The suffix of a file without that of its compression: .csv for log.csv.gz."""
    return (path.with_suffix("") if path.suffix.lower() in SUFFIXES else path).suffix.lower()


def content(path: Path) -> bytes:
    """All bytes of a file, uncompressed; lines that end with CR alone end with LF here."""
    data = _bytes(path)
    return data.replace(b"\r", b"\n") if only_cr(data) else data


def from_first_line(source: Path | bytes) -> Path | bytes:
    """The same without blank lines at its beginning, of which polars takes the number of fields."""
    first = source[:8] if isinstance(source, bytes) else start(source, 8)
    if not re.match(rb"\r?\n", first.removeprefix(codecs.BOM_UTF8)):
        return source
    data = source if isinstance(source, bytes) else content(source)
    return re.sub(rb"\A(\r?\n)+", b"", data.removeprefix(codecs.BOM_UTF8))


def only_cr(data: bytes) -> bool:
    """Whether lines end with CR alone, as old Mac programs wrote them."""
    return b"\n" not in data and b"\r" in data


def _bytes(path: Path) -> bytes:
    kind = compression(path)
    with _readable(path, kind):
        data = path.read_bytes()
        if kind == "gz":
            return gzip.decompress(data)
        if kind == "bz2":
            return bz2.decompress(data)
        if kind == "zip":
            return _member(path, data)
        return _zst(data) if kind == "zst" else data


def start(path: Path, size: int = 1 << 20) -> bytes:
    """The first bytes of a file, uncompressed."""
    kind = compression(path)
    with _readable(path, kind):
        if kind == "zst":
            return _zst_start(path, size)
        if kind == "zip":
            with zipfile.ZipFile(path) as archive, archive.open(_only_file(path, archive)) as member:
                return member.read(size)
        with (gzip.open if kind == "gz" else bz2.open if kind == "bz2" else open)(path, "rb") as file:
            return bytes(file.read(size))


@contextlib.contextmanager
def _readable(path: Path, kind: str | None = None) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, ValueError, pl.exceptions.PolarsError) as error:
        what = f"is not a whole {_NAMES.get(kind or '', 'text')} file: {error}"
        raise MatineeError(what, where=str(path), hint="fetch it again") from error
    except OSError as error:
        if kind is not None and error.errno is None:
            what = f"is not a whole {_NAMES[kind]} file: {error}"
            raise MatineeError(what, where=str(path), hint="fetch it again") from error
        raise MatineeError(f"cannot be read: {error.strerror}", where=str(path), hint="check the file") from error


def _member(path: Path, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(_only_file(path, archive))


def _only_file(path: Path, archive: zipfile.ZipFile) -> str:
    """The name of the one file of an archive."""
    files = [entry.filename for entry in archive.infolist() if not entry.is_dir() and "__MACOSX" not in entry.filename]
    if len(files) != 1:
        hint = "unpack it, and pass one file or the folder"
        what = f"the archive holds {len(files)} files, not one: {listed(files)}"
        raise MatineeError(what, where=str(path), hint=hint)
    return files[0]


def _zst(data: bytes) -> bytes:
    """polars reads zstd; Python before 3.14 does not."""
    lines = pl.read_lines(io.BytesIO(data))["line"]
    return "\n".join([*lines.to_list(), ""]).encode()


def _zst_start(path: Path, size: int) -> bytes:
    """The first bytes: lines are asked for until they are enough, or are all."""
    n = max(size // 32, 64)
    while True:
        lines = pl.scan_lines(path, n_rows=n, glob=False).collect()["line"]
        data = "\n".join([*lines.to_list(), ""]).encode()
        if len(lines) < n or len(data) >= size:
            return data[:size]
        n *= 4


def decoded(path: Path, encoding: str = "utf-8") -> str:
    """A file's text. Raises MatineeError naming the line of the first byte that is not in this encoding."""
    data = _bytes(path)
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
        return text.replace("\r", "\n") if "\r" in text and "\n" not in text else text
    except LookupError as error:
        hint = f"try {option('encoding', 'utf-8')} or {option('encoding', 'latin-1')}"
        raise MatineeError(f"unknown encoding '{encoding}'", where=str(path), hint=hint) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\r" if only_cr(data) else b"\n", 0, error.start) + 1
        other = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
        what = f"byte 0x{data[error.start]:02x} is not {encoding} text"
        hint = f"name the file's encoding, perhaps {option('encoding', other)}"
        hint = hint if offered("encoding") else "fetch it again, or store it as UTF-8"
        raise MatineeError(what, where=f"{path.name}, row {line}", hint=hint) from error


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8 text, but for a character that is cut off at their end."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start > len(data) - 4 and error.reason == "unexpected end of data"
    return True


def holds(source: Path | bytes, sign: bytes) -> bool:
    """Whether a byte is in a file."""
    if isinstance(source, bytes):
        return sign in source
    with source.open("rb") as file:
        return any(sign in chunk for chunk in iter(lambda: file.read(_CHUNK), b""))


class Quotes(NamedTuple):
    """broken: the first quotation mark that neither opens nor closes a field, as a position in the bytes; None where
    all do. inside: line ends within quotation marks; first: the position of the first of these."""

    broken: int | None
    inside: int
    first: int | None = None


def quotes(source: Path | bytes, quote: str, separator: str, escape: str | None = None) -> Quotes:
    """Look at every quotation mark of a file. A doubled one inside a field stands for itself, as does one after
    `escape`."""
    data = np.frombuffer(source, np.uint8) if isinstance(source, bytes) else np.memmap(source, np.uint8, "r")
    mark, sign, inside, seen = ord(quote), ord(separator), 0, 0
    first = last = None
    for at in range(0, len(data), _CHUNK):
        where = at + np.flatnonzero(data[at : at + _CHUNK] == mark)
        if escape is not None and len(where):
            where = where[~_escaped(data, where, ord(escape))]
        odd = seen % 2
        opens, closes = where[odd::2], where[1 - odd :: 2]
        before = np.where(opens > 0, data[np.maximum(opens - 1, 0)], ord("\n"))
        after = _line_end(data, closes + 1)
        wrong = np.concatenate([opens[~_border(before, sign, mark)], closes[~_border(after, sign, mark)]])
        if len(wrong):
            return Quotes(int(wrong.min()), inside, first)
        ends = at + np.flatnonzero(data[at : at + _CHUNK] == ord("\n"))
        within = ends[(np.searchsorted(where, ends) + seen) % 2 == 1]
        if len(within) and first is None:
            first = int(within[0])
        inside, seen = inside + len(within), seen + len(where)
        last = int(where[-1]) if len(where) else last
    return Quotes(last if seen % 2 else None, inside, first)


def _border(byte: NDArray[np.uint8], sign: int, mark: int) -> NDArray[np.bool_]:
    """bool (n,): whether a quotation mark may stand beside this byte."""
    return np.isin(byte, [sign, ord("\n"), mark])


def _line_end(data: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[np.uint8]:
    """uint8 (n,): the bytes at these places, LF for CRLF and for the end."""
    here, following = (
        np.where(place < len(data), data[np.minimum(place, len(data) - 1)], 10) for place in (at, at + 1)
    )
    return np.where((here == 13) & (following == 10), 10, here).astype(np.uint8)


def _escaped(data: NDArray[np.uint8], where: NDArray[np.int64], escape: int) -> NDArray[np.bool_]:
    """bool (n,): whether the byte before is an escape that is not itself escaped."""
    one = (where > 0) & (data[np.maximum(where - 1, 0)] == escape)
    two = (where > 1) & (data[np.maximum(where - 2, 0)] == escape)
    free: NDArray[np.bool_] = one & ~two
    return free


def escaped_outside(data: bytes, quote: str, escape: str) -> bool:
    """Whether an escaped quotation mark is in a field that is not quoted: it stands there as written."""
    signs = np.frombuffer(data, np.uint8)
    where = np.flatnonzero(signs == ord(quote))
    escaped = _escaped(signs, where, ord(escape))
    open_ = np.cumsum(~escaped) % 2 == 1
    return bool((escaped & ~open_).any())


def doubled(data: bytes, quote: str, escape: str) -> bytes:
    """Escaped quotation marks written as doubled ones, which polars reads."""
    mark, sign = quote.encode(), escape.encode()
    if sign * 2 in data:
        return re.sub(
            re.escape(sign) + b"([" + re.escape(mark + sign) + b"])", lambda m: mark * 2 if m[1] == mark else sign, data
        )
    return data.replace(sign + mark, mark * 2)


def lines_of(source: Path | bytes) -> pl.Series:
    """Every line, without its end."""
    return pl.read_lines(io.BytesIO(source) if isinstance(source, bytes) else source, glob=False)["line"]
