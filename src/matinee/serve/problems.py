"""What goes wrong, as RFC 9457 has it: problem+json, without anything of the inside."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import ValidationError

from matinee.errors import MatineeError

PROBLEM = "application/problem+json"
JSON = "application/json"
SHOWN = 20  # findings about one body


@dataclass(frozen=True)
class Reply:
    """status, body and type of an answer; noted: what the access log says of it beside the usual."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    noted: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200, **noted: Any) -> Reply:
        return cls(status, orjson.dumps(value), noted=noted)


class Problem(Exception):  # noqa: N818 - its name in RFC 9457
    """An answer that is no success. detail: what is wrong and how to mend it, for whoever wrote the request."""

    def __init__(self, status: int, detail: str, *, headers: tuple[tuple[str, str], ...] = (), **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, headers, more

    def to_dict(self) -> dict[str, Any]:
        title = HTTPStatus(self.status).phrase
        return {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail, **self.more}

    def reply(self) -> Reply:
        return Reply(self.status, orjson.dumps(self.to_dict()), PROBLEM, self.headers)


def invalid(error: ValidationError) -> Problem:
    """A body that does not fit: where and why, and not what it held. What may be one of several kinds is told what each
    of them needs."""
    found: dict[str, dict[str, None]] = {}
    for each in error.errors(include_url=False, include_input=False, include_context=False):
        parts = [str(part) for part in each["loc"] if isinstance(part, int) or not _KIND.search(part)]
        found.setdefault(".".join(parts), {})[each["msg"].removeprefix("Value error, ")] = None
    told = [{"field": field, "message": ", or ".join(messages)} for field, messages in list(found.items())[:SHOWN]]
    first = told[0]
    return Problem(422, ": ".join(filter(None, (first["field"], first["message"]))), errors=told)


_KIND = re.compile(r"[\[-]|^(int|str|bool|float|none|Watched)$")
"""What pydantic puts among the names of fields where there are several kinds."""


def unfit(error: MatineeError, status: int = 422) -> Problem:
    """What our own code says of a request. `where` may name files, and is left out."""
    return Problem(status, error.what if error.hint is None else f"{error.what}; {error.hint}")


def unknown(what: str) -> Problem:
    return Problem(404, what)


def too_busy(detail: str, seconds: int = 1) -> Problem:
    return Problem(503, detail, headers=(("retry-after", str(seconds)),))
