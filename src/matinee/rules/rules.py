"""Rules: what may be shown whatever a model says. One object for Python, the command line, recipes and services."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from matinee.data.ids import Id
from matinee.errors import MatineeError, counted, did_you_mean
from matinee.files import StrPath
from matinee.rules.parsing import LANGUAGE, parse

Texts = str | tuple[str, ...]
TABLE = "rules"


class _Part(BaseModel):
    """Unknown keys and values that do not fit raise MatineeError."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    what: ClassVar[str]

    if not TYPE_CHECKING:  # where the fields keep their own names and types

        def __init__(self, /, *positional: Any, **given: Any) -> None:
            if positional:
                raise MatineeError(f"{type(self).__name__} takes its parts by name", hint=f"write {self._example()}")
            try:
                super().__init__(**given)
            except ValidationError as error:
                raise _said(type(self), error) from None

    @classmethod
    def _example(cls) -> str:
        return f"{cls.__name__}({', '.join(f'{name}=...' for name in list(cls.model_fields)[:2])})"


class Quota(_Part):
    """How many of the k items of a list may, or must, be alike.

    Which items count: those for which the expression `where` is true, or those that have `value` in `column`. With a
    column alone every value of it has the quota of its own (two films a director), and only `at_most` has a meaning.
    Raises MatineeError for parts that do not fit together.

    Example: `mt.Quota(column="genres", value="Drama", at_least=3)`
    """

    what = "a quota"

    column: str | None = Field(None, description="a column of the item table")
    value: str | int | float | bool | None = Field(
        None, description="its value that counts; without one, each value has the quota of its own"
    )
    where: str | None = Field(None, description="in the place of a column: an expression, the items that count")
    at_least: int | None = Field(None, ge=1, description="so many of the k items are among these, where there are any")
    at_most: int | None = Field(None, ge=0, description="no more of the k items than this")

    @field_validator("where")
    @classmethod
    def _parsed(cls, where: str | None) -> str | None:
        return None if where is None else _checked(where)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.column is None) == (self.where is None):
            raise ValueError("needs either column or where")
        if self.where is not None and self.value is not None:
            raise ValueError("value belongs to column, not to where")
        if self.at_least is None and self.at_most is None:
            raise ValueError("needs at_least or at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least = {self.at_least} is more than at_most = {self.at_most}")
        if self.column is not None and self.value is None and self.at_least is not None:
            raise ValueError("at_least needs a value: no list can have every value of a column")
        return self

    def __str__(self) -> str:
        ends = [("at least", self.at_least), ("at most", self.at_most)]
        of = f"of each value of {self.column}" if self.value is None else f"with {self.value} in {self.column}"
        of = of if self.where is None else f"where {self.where}"
        return f"{' and '.join(f'{word} {n}' for word, n in ends if n is not None)} {of}"


class Boost(_Part):
    """Items that are lifted, or lowered: their score s, 0..1, becomes factor * s + add.

    s is 0 for the worst and 1 for the best of the items that may be recommended to a query. Where several boosts hold
    for an item, factors are multiplied and addends added. An addend of .1 moves an item up by a tenth of what lies
    between the worst and the best.

    Example: `mt.Boost(where="year >= 2000", add=0.1)`
    """

    what = "a boost"

    where: str | None = Field(None, description="an expression: the items that are boosted")
    items: tuple[Id, ...] = Field((), description="and these, by title or id")
    factor: float = Field(1.0, ge=0.0, description="multiplies the score, 0..1")
    add: float = Field(0.0, description="is added to it")

    @field_validator("where")
    @classmethod
    def _parsed(cls, where: str | None) -> str | None:
        return None if where is None else _checked(where)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.where is None and not self.items:
            raise ValueError("needs where or items")
        if self.factor == 1.0 and self.add == 0.0:
            raise ValueError("needs factor or add")
        return self


class Pin(_Part):
    """An item that stands at a place of every list, from 1, whatever its score.

    It is left out where a query excludes it (the user has seen or dislikes it); the next best moves up then.

    Example: `mt.Pin(item="Toy Story (1995)", place=1)`
    """

    what = "a pin"

    item: Id = Field(description="a title or an id")
    place: int = Field(ge=1, description="its place, from 1")


class Rules(_Part):
    """What may be shown, whatever a model says: the same object for `recommend`, recipes and the command line.

    Applied in this order: items are allowed or denied (`where`, `deny_where`, `allow`, `deny`: all must agree), scores
    are boosted, pinned items take their places, and the best others fill the list as far as quotas let them.
    Expressions are over the table of items: `year >= 1990 and "Drama" in genres`; see `rules.expression`. Items are
    named by title or id.
    Raises MatineeError for an expression that cannot be read, and for parts that do not fit together.

    Example: `mt.recommend(model, mt.query(model, user=196), k=5, rules=mt.Rules(deny=["Heat (1995)"]))`
    """

    what = "the rules"

    where: Texts = Field((), description="an expression, or several: only items for which all are true")
    deny_where: Texts = Field((), description="an expression, or several: no items for which one is true")
    allow: tuple[Id, ...] | None = Field(None, description="only these items, by title or id")
    deny: tuple[Id, ...] = Field((), description="none of these items")
    boost: tuple[Boost, ...] = Field((), description="`where` or `items`, and `factor` or `add`")
    pin: tuple[Pin, ...] = Field((), description="`item` and `place`")
    quota: tuple[Quota, ...] = Field((), description="`column` (and `value`) or `where`, `at_least` or `at_most`")

    @field_validator("where", "deny_where")
    @classmethod
    def _parsed(cls, texts: Texts) -> tuple[str, ...]:
        return tuple(_checked(text) for text in _several(texts))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        places, items = [pin.place for pin in self.pin], [pin.item for pin in self.pin]
        if twice := [place for place in places if places.count(place) > 1]:
            raise ValueError(f"two items are pinned to place {twice[0]}")
        if again := [item for item in items if items.count(item) > 1]:
            raise ValueError(f"{again[0]!r} is pinned to two places")
        if self.allow is not None and not self.allow:
            raise ValueError("allow is an empty list, so nothing could be recommended: leave it out")
        return self

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return self != Rules()

    def __str__(self) -> str:
        """One line for protocols and logs: what there is, and the fingerprint that tells rules apart."""
        parts = [f"where {text}" for text in _several(self.where)]
        parts += [f"not where {text}" for text in _several(self.deny_where)]
        parts += [f"allow {counted(len(self.allow), 'item')}"] if self.allow is not None else []
        parts += [f"deny {counted(len(self.deny), 'item')}"] if self.deny else []
        parts += [counted(len(some), name) for name, some in (("boost", self.boost), ("pin", self.pin)) if some]
        return f"{'; '.join([*parts, *map(str, self.quota)]) or 'none'} [{self.fingerprint}]"

    @property
    def fingerprint(self) -> str:
        """8 hex digits of the content."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:8]

    def and_(self, **more: Any) -> Rules:
        """These rules with further ones: expressions, lists and tables are added, allowed items must be in both lists.

        Example: `mt.Rules(where="year >= 1990").and_(deny=[50])`
        """
        other = Rules(**more)
        both = self.allow
        if both is not None and other.allow is not None:
            both = tuple(item for item in both if item in other.allow)
        added = ("deny", "boost", "pin", "quota")
        return Rules(
            where=(*_several(self.where), *_several(other.where)),
            deny_where=(*_several(self.deny_where), *_several(other.deny_where)),
            allow=other.allow if both is None else both,
            **{name: (*getattr(self, name), *getattr(other, name)) for name in added},
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON and TOML have it, without what is not set.

        Example: `mt.Rules(where="year >= 1990").to_dict()`
        """
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Rules:
        """What `to_dict` gave, or a TOML table [rules]. Raises MatineeError for anything else.

        Example: `mt.Rules.from_dict({"where": "year >= 1990", "quota": [{"column": "directors", "at_most": 1}]})`
        """
        if not isinstance(values, Mapping):
            raise MatineeError(f"{values!r} is no table of rules", hint='pass for example {"where": "year >= 1990"}')
        return Rules(**{str(name): value for name, value in values.items()})

    @classmethod
    def read(cls, path: StrPath) -> Rules:
        """The rules of a TOML file: of its table [rules], or of the whole file where it has none. Other tables, as a
        recipe has them, are left alone. Raises MatineeError naming the file.

        Example: `rules = mt.Rules.read("rules.toml")`
        """
        hint = "name a TOML file with a table [rules]"
        try:
            tables = tomllib.loads(Path(path).read_text("utf-8-sig"))
        except FileNotFoundError:
            raise MatineeError("there is no such file", where=str(path), hint=hint) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MatineeError(f"not valid TOML: {error}", where=str(path), hint="correct that line") from None
        except OSError as error:
            raise MatineeError(f"cannot be read: {error.strerror}", where=str(path), hint=hint) from None
        try:
            return cls.from_dict(tables.get(TABLE, tables))
        except MatineeError as error:
            raise MatineeError(error.what, where=f"{path}, [{TABLE}]", hint=error.hint) from None


def _several(texts: Texts) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else texts


def _checked(text: str) -> str:
    """The expression. Raises ValueError, which pydantic places."""
    try:
        parse(text)
    except MatineeError as error:
        raise ValueError(error.what) from None
    return text


def _said(cls: type[_Part], error: ValidationError) -> MatineeError:
    """pydantic's findings, in our words."""
    found = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"] if part not in ("str", "int") and "tuple" not in str(part))
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            known = list(cls.model_fields)
            message = f"unknown key ({did_you_mean(name, known) or 'it has ' + ', '.join(known)})"
        found.append(f"{name}: {message[0].lower()}{message[1:]}" if name else message)
    once = "; ".join(dict.fromkeys(found))
    hint = LANGUAGE if "character" in once else "see docs/rules.md for every key"
    return MatineeError(f"{cls.what}: {once}", hint=hint)
