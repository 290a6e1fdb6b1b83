"""Whether a file quotes its fields as it seems to, and how polars is to read it."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import polars as pl

from matinee.data.read import text
from matinee.data.read.dialect import UNIT, Dialect, RaggedError, quote_off, records
from matinee.data.read.options import AUTO
from matinee.data.read.text import content, decoded
from matinee.errors import MatineeError, offered, option

Written = tuple[Path | bytes, Dialect, bool, tuple[str, ...]]


def quoting(source: Path | bytes, path: Path, dialect: Dialect) -> Written:
    """How the file really quotes: its bytes, as polars reads them; the dialect, without quote where quotation marks are
    ordinary characters; whether marks around fields have to be taken off afterwards; and what to warn of."""
    if dialect.quote is None or not text.holds(source, dialect.mark.encode()):
        return source, dialect, False, ()
    sign = UNIT if len(dialect.separator or ",") > 1 else dialect.separator or ","
    found = text.quotes(source, dialect.mark, sign)
    if found.broken is None and found.inside == 0:
        return source, dialect, False, ()
    decoded(path, dialect.encoding)  # raises what polars would say in other words
    if found.broken is None:
        return _over_lines(source, path, dialect, found, sign)
    escape = "\\" if dialect.escape == AUTO else dialect.escape
    if escape is not None and text.holds(source, (escape + dialect.mark).encode()):
        escaped = text.quotes(source, dialect.mark, sign, escape)
        data = source if isinstance(source, bytes) else content(path)
        if escaped.broken is None and not text.escaped_outside(data, dialect.mark, escape):
            return text.doubled(data, dialect.mark, escape), replace(dialect, escape=escape), False, ()
    if _even(source, dialect, sign):
        return source, dialect, True, ()
    rewritten = _rewritten(path, dialect)
    if rewritten is None:
        data = source if isinstance(source, bytes) else content(path)
        raise RaggedError(unclosed(path, data.count(b"\n", 0, found.broken) + 1, dialect.mark))
    return rewritten, dialect, False, ()


def _over_lines(source: Path | bytes, path: Path, dialect: Dialect, found: text.Quotes, sign: str) -> Written:
    """Fields in quotation marks go over several lines: texts do, and marks that nobody closed seem to."""
    data = content(path) if isinstance(source, Path) else source
    line = data.count(b"\n", 0, found.first) + 1
    if dialect.quote == AUTO and _even(source, dialect, sign):
        note = f"{path.name}: quotation marks are read as ordinary characters, since each line is whole by itself"
        note += f" (first where row {line} ends); say {option('quote', dialect.mark)} where fields go over lines"
        return source, replace(dialect, quote=None), False, (note,)
    n = f"{found.inside:,} line end{'s' if found.inside > 1 else ''} within quotation marks"
    note = f"{path.name}: {n}, so rows are fewer than lines (first where row {line} ends); {quote_off()}"
    return source, dialect, False, (note,)


def _even(source: Path | bytes, dialect: Dialect, sign: str) -> bool:
    """Whether each line has the same number of fields, more than one, where quotation marks are ordinary characters."""
    lines = text.lines_of(source)
    lines = lines.filter(lines != "")
    if dialect.comment is not None:
        lines = lines.filter(~lines.str.starts_with(dialect.comment))
    counts = lines.str.count_matches(sign, literal=True)
    return counts.n_unique() == 1 and int(counts[0]) > 0


def stripped(frame: pl.DataFrame, path: Path, dialect: Dialect) -> pl.DataFrame:
    """Marks taken off fields that begin and end with one, doubled ones inside written once. Where the file has more
    fields that only begin with one, it does not quote. Raises RaggedError in doubt."""
    mark = dialect.mark
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    begins = pl.col(texts).str.starts_with(mark)
    whole = begins & pl.col(texts).str.ends_with(mark) & (pl.col(texts).str.len_bytes() > 1)
    quoted = int(frame.select(whole.sum()).sum_horizontal()[0]) + sum(
        name[:1] == mark == name[-1:] for name in frame.columns
    )
    open_ = frame.select(begins & ~whole)
    broken = int(open_.sum().sum_horizontal()[0])
    if broken and (quoted >= broken or dialect.quote != AUTO):
        raise RaggedError(unclosed(path, _first_open(path, dialect), mark))
    if broken:
        return frame
    inner = pl.col(texts).str.slice(1, pl.col(texts).str.len_chars() - 2).str.replace_all(mark * 2, mark, literal=True)
    frame = frame.with_columns(pl.when(whole).then(inner).otherwise(pl.col(texts)).replace("", None).name.keep())
    return frame.rename({name: name[1:-1] for name in frame.columns if name[:1] == mark == name[-1:] and len(name) > 1})


def _first_open(path: Path, dialect: Dialect) -> int:
    """The line of the first field that begins with a mark and does not end with one."""
    mark = dialect.mark
    for line, fields in records(path, replace(dialect, quote=None)):
        if any(field[:1] == mark and (len(field) == 1 or field[-1] != mark) for field in fields):
            return line
    return 1


def _rewritten(path: Path, dialect: Dialect) -> bytes | None:
    """The file with every field quoted that has to be, where marks inside other fields stand for themselves; None where
    a mark that opens a field does not close it, or a field goes over lines."""
    whole, sign = decoded(path, dialect.encoding), dialect.separator or ","
    whole, sign = (whole.replace(sign, UNIT), UNIT) if len(sign) > 1 else (whole, sign)
    escape = None if dialect.escape == AUTO else dialect.escape
    reader = csv.reader(io.StringIO(whole), delimiter=sign, quotechar=dialect.mark, escapechar=escape, strict=True)
    out = io.StringIO()
    writer = csv.writer(out, delimiter=sign, quotechar=dialect.mark, lineterminator="\n")
    try:
        for n, fields in enumerate(reader, start=1):
            if reader.line_num != n:
                return None
            writer.writerow(fields)
    except csv.Error:
        return None
    return out.getvalue().encode()


def unclosed(path: Path, line: int, mark: str) -> MatineeError:
    what = f"a field begins with {mark} and does not end with it, or holds one that is not doubled"
    hint = quote_off() if offered("quote") else "double it, or close the field"
    return MatineeError(what, where=f"{path.name}, row {line}", hint=hint)
