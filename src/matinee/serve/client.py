"""A client of the service: `mt.Client`. It needs nothing but Python."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from matinee.data.ids import Id
from matinee.errors import MatineeError


class ServiceProblem(MatineeError):  # noqa: N818
    """An answer that is no success. status: of HTTP; 503 passes: send the same again later."""

    def __init__(self, status: int, what: str, hint: str | None = None) -> None:
        super().__init__(what, hint=hint)
        self.status = status


@dataclass(frozen=True)
class Recommended:
    """An item of an answer. score: None for a pinned item that the model cannot score."""

    item_id: Id
    title: str | None
    score: float | None


@dataclass(frozen=True)
class Recommendation:
    """A list for somebody, and which model made it. fallback: popularity answered."""

    items: tuple[Recommended, ...]
    model: str
    version: str
    arm: str | None
    fallback: bool
    user_known: bool
    unknown_items: tuple[Id, ...]
    warnings: tuple[str, ...]
    request_id: str


class Client:
    """Asks a service that `matinee serve` runs. Threads may share one.

    Each method raises MatineeError with what the service says, and where it cannot be reached.

    Example: `client = mt.Client("http://127.0.0.1:8000")`
    """

    def __init__(self, url: str = "http://127.0.0.1:8000", *, token: str | None = None, timeout: float = 10.0) -> None:
        """token: what the service asks for. timeout: seconds."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise MatineeError(f"{url!r} is no address of a service", hint='pass for example "http://127.0.0.1:8000"')
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._url, self._base = url, parts.path.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._lock = threading.Lock()

    def recommend(self, user: Id | None = None, *, k: int = 10, **asked: Any) -> Recommendation:
        """The k best items for a user. asked: session_id, history, title, allow, deny, where, exclude_seen, rules,
        diversity, model, at, context: see /openapi.json."""
        return _recommendation(self._ask("POST", "/v1/recommend", _given(user=user, k=k, **asked)))

    def recommend_batch(self, requests: Iterable[Mapping[str, Any]]) -> list[Recommendation | ServiceProblem]:
        """An answer for each request, given as `recommend` takes it."""
        answers = self._ask("POST", "/v1/recommend/batch", {"requests": [dict(request) for request in requests]})
        return [_recommendation(each) if "items" in each else _problem(each) for each in answers["answers"]]

    def similar(self, item: Id, k: int = 10, *, model: str | None = None) -> tuple[Recommended, ...]:
        """What goes with an item."""
        query = urlencode(_given(k=k, model=model))
        return _items(self._ask("GET", f"/v1/similar/{quote(str(item), safe='')}?{query}"))

    def explain(self, item: Id, user: Id | None = None, *, k: int = 5, **asked: Any) -> dict[str, Any]:
        """Which items of the history raise an item's score: the answer of /v1/explain."""
        answer: dict[str, Any] = self._ask("POST", "/v1/explain", _given(item=item, user=user, k=k, **asked))
        return answer

    def add_events(self, events: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Store events: user or session_id, item, kind, time, rating, key. All or none; False: stored before."""
        stored: list[bool] = self._ask("POST", "/v1/events", {"events": [dict(event) for event in events]})["stored"]
        return stored

    def delete_user(self, user: Id) -> int:
        """Delete the stored events of a user; of a session as "session:ID". Returns how many there were."""
        return int(self._ask("DELETE", f"/v1/users/{quote(str(user), safe='')}")["deleted"])

    def find_items(self, query: str, k: int = 10) -> list[tuple[Id, str]]:
        """Items by their titles: id and title, best first."""
        found = self._ask("GET", f"/v1/items?{urlencode({'query': query, 'k': k})}")["items"]
        return [(each["item_id"], each["title"]) for each in found]

    def models(self) -> list[dict[str, Any]]:
        """The models that serve."""
        models: list[dict[str, Any]] = self._ask("GET", "/v1/models")["models"]
        return models

    def reload(self, model: str) -> str:
        """Load a model's folder again. Returns its version."""
        return str(self._ask("POST", f"/v1/models/{quote(model, safe='')}/reload")["version"])

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer."""
        content = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({} if content is None else {"Content-Type": "application/json"})
        with self._lock:
            status, answer = self._send(method, self._base + path, content, headers)
        try:
            value = json.loads(answer)
        except ValueError:
            raise ServiceProblem(status, f"{self._url} does not answer as a service of Matinee does") from None
        if status >= 400:
            raise _problem(value | {"status": status})
        return value

    def _send(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        fresh = self._connection.sock is None
        try:
            self._connection.request(method, path, content, headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
            self._connection.close()
            if not fresh:  # the service closed a connection that was not used for a while
                return self._send(method, path, content, headers)
            raise self._unreachable(error) from None
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> MatineeError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return MatineeError(f"no answer: {reason}", where=self._url, hint="start it: matinee serve MODEL_DIR")


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _items(answer: Mapping[str, Any]) -> tuple[Recommended, ...]:
    return tuple(Recommended(each["item_id"], each["title"], each["score"]) for each in answer["items"])


def _recommendation(answer: Mapping[str, Any]) -> Recommendation:
    names = ("model", "version", "arm", "fallback", "user_known", "request_id")
    values: dict[str, Any] = {name: answer[name] for name in names}
    values |= {name: tuple(answer[name]) for name in ("unknown_items", "warnings")}
    return Recommendation(items=_items(answer), **values)


def _problem(answer: Mapping[str, Any]) -> ServiceProblem:
    return ServiceProblem(int(answer["status"]), str(answer.get("detail", "the service refused")))
