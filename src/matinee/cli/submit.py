"""`recommend --for-users`: lists for the users of a file, as a competition wants them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from matinee.cli import screen
from matinee.cli.options import names, pairs
from matinee.data.read.options import TableFile, TextOptions, parsed
from matinee.errors import MatineeError, counted, suggestion, worded_for
from matinee.models.base import Model
from matinee.submissions import AUTO, COLUMNS, check_format, check_submission, submission, write_submission

FOR_USERS = "Exactly these users in their order: text with an id a line, or a .csv, .tsv or .parquet table."
ForUsers = Annotated[Path | None, Option(metavar="FILE", help=FOR_USERS)]
USER_ID = Option(metavar="COLUMN", help="Column of users in --for-users.", show_default="found by its name")
UserId = Annotated[str | None, USER_ID]
FOR_USERS_OPTION = Option(
    metavar="NAME=VALUE",
    help="How --for-users is written: encoding, separator, header, quote, escape, comment; may be repeated.",
)
ForUsersOption = Annotated[list[str] | None, FOR_USERS_OPTION]
HEADER = Option(metavar="USER,ITEM", help="Names of its columns.", show_default="the sample's, or user_id,item_id")
Header = Annotated[str | None, HEADER]
Wide = Annotated[bool, Option("--wide", help="A row a user, items separated by spaces.")]
NoHeader = Annotated[bool, Option("--no-header", help="Without a line of column names.")]
Sample = Annotated[Path | None, Option(metavar="FILE", help="A sample submission that it must agree with.")]


@dataclass(frozen=True)
class Submission:
    """The options of `recommend` that are about a submission."""

    for_users: Path | None
    out: Path | None
    user_id: str | None
    columns: str | None
    wide: bool
    no_header: bool
    sample: Path | None
    for_users_option: list[str] | None = None

    def check(self, *, others: bool) -> None:
        """Refuse options that do not fit together, before a model is loaded. others: --user, --history or --all."""
        if self.for_users is None:
            options = {name: value for name, value in vars(self).items() if name != "out"}
            if given := [f"--{name.replace('_', '-')}" for name, value in options.items() if value]:
                hint = "add --for-users FILE, or leave it out"
                raise MatineeError(f"{given[0]} is about a submission, but no users are named for one", hint=hint)
            return
        if others:
            raise MatineeError("--for-users names the users", hint="leave out --user, --history and --all")
        if self.out is None:
            raise MatineeError("--for-users needs a file to write to", hint="add for example --out submission.csv")
        check_format(self.out, header=not self.no_header)
        for name, path in (("--for-users", self.for_users), ("--sample", self.sample)):
            if path is not None and not path.is_file():
                raise MatineeError("there is no such file", where=str(path), hint="check the path")
            if path is not None and path.resolve() == self.out.resolve():
                raise MatineeError(f"this is the file of {name}", where=str(path), hint="choose another --out")

    def users(self) -> Path | TableFile:
        """The file of users, and how it is written."""
        assert self.for_users is not None
        options = pairs(self.for_users_option, "--for-users-option", "encoding=latin-1")
        for name in options:
            if name not in TextOptions.model_fields:
                hint = suggestion(name, TextOptions.model_fields)
                raise MatineeError(f"--for-users-option has no {name!r}", hint=hint)
        with worded_for("command", table="for-users"):
            return parsed(TableFile, {"path": self.for_users, **options}) if options else self.for_users

    def names(self) -> list[str]:
        """Of the two columns."""
        if self.columns is None:
            return list(COLUMNS) if self.sample is None or self.no_header else _header(self.sample)
        found = names(self.columns)
        if len(found) != 2:
            hint = "write for example --columns user,item"
            raise MatineeError(f"--columns {self.columns}: two names are needed", hint=hint)
        return found


def submit(model: Model, asked: Submission, k: int, *, as_json: bool, **given: Any) -> None:
    """Write the submission, if it agrees with the sample. given: further arguments of `submission`."""
    assert asked.for_users is not None
    assert asked.out is not None  # both were checked
    columns = asked.names()
    given |= {"columns": columns, "wide": asked.wide, "user_id": asked.user_id or AUTO}
    with worded_for("command"):
        table = submission(model, asked.users(), k, progress=True, **given)
    if asked.sample is not None:
        check_submission(table, asked.sample, header=not asked.no_header)
    write_submission(table, asked.out, header=not asked.no_header)
    answered = table[columns[0]].n_unique()
    if as_json:
        files = {"out": str(asked.out), "sample": None if asked.sample is None else str(asked.sample)}
        screen.emit(files | {"users": answered, "rows": len(table), "columns": columns})
        return
    screen.say(f"{counted(len(table), 'row')} for {counted(answered, 'user')} written to {asked.out}")
    if asked.sample is not None:
        screen.say(f"users, their order, rows and columns are those of {asked.sample}", "dim")


def _header(sample: Path) -> list[str]:
    """The sample's columns, where there are two; `check_submission` refuses others."""
    from matinee.data.read.tables import table_of

    found = table_of(sample).frame.columns
    return found if len(found) == 2 else list(COLUMNS)
