"""What /openapi.json says: a request, an answer and an example of each route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from matinee.rules import Rules
from matinee.serve import schemas
from matinee.serve.limits import MODEL_NAME, TEXT, K

PROBLEMS = {
    400: "The request cannot be read", 401: "No token, or another", 408: "The body came too slowly",
    413: "The body is too long", 415: "The body is not JSON", 421: "The service has another name",
    422: "The request does not fit", 503: "Too busy; Retry-After says when to come again",
}  # fmt: skip
REF = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Route:
    """What is said of a route. examples: of bodies, by name. query: of a URL, name -> example; a name with * is
    needed. also: further problems."""

    name: str
    summary: str
    answer: type[BaseModel] | str
    body: type[BaseModel] | None = None
    examples: dict[str, Any] | None = None
    query: dict[str, Any] | None = None
    path: dict[str, Any] | None = None
    also: tuple[tuple[int, str], ...] = ()

    def responses(self) -> dict[int | str, dict[str, Any]]:
        found: dict[int | str, dict[str, Any]] = {}
        found[200] = {"description": "The answer"}
        if isinstance(self.answer, str):
            found[200]["content"] = {self.answer: {"schema": {"type": "string"}}}
        else:
            found[200]["content"] = _content("application/json", self.answer)
        for status, words in sorted({**PROBLEMS, **dict(self.also)}.items()):
            found[status] = {
                "description": words,
                "content": _content("application/problem+json", schemas.ProblemAnswer),
            }
        return found

    def extra(self) -> dict[str, Any]:
        extra: dict[str, Any] = {
            "parameters": [*self._parameters("path", self.path), *self._parameters("query", self.query)]
        }
        if self.body is not None:
            content = _content("application/json", self.body)
            content["application/json"]["examples"] = {
                name: {"value": value} for name, value in (self.examples or {}).items()
            }
            extra["requestBody"] = {"required": True, "content": content}
        return extra

    def _parameters(self, where: str, given: dict[str, Any] | None) -> list[dict[str, Any]]:
        found = []
        for name, example in (given or {}).items():
            schema: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": TEXT}
            if isinstance(example, int):
                schema = {"type": "integer", "minimum": 1, "maximum": K, "default": 10}
            elif name == "model":
                schema = {"type": "string", "pattern": MODEL_NAME.pattern.join("^$")}
            needed = where == "path" or name.endswith("*")
            found.append(
                {"name": name.rstrip("*"), "in": where, "required": needed, "schema": schema, "example": example}
            )
        return found


def _content(media_type: str, kind: type[BaseModel]) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": REF.format(model=kind.__name__)}}}


NO_MODEL = ((404, "No such model"),)
NO_ITEM = ((404, "No such item or model"),)
EXAMPLES = {
    ("POST", "/v1/recommend"): Route(
        "recommend", "Recommend items to a user, a session, or someone new", schemas.Answer, schemas.RecommendRequest,
        {
            "a user": {"user": 196, "k": 5},
            "someone new": {"history": ["Toy Story (1995)", {"item": "Heat (1995)"}], "k": 5},
            "a session": {"session_id": "a81f", "history": [50], "exclude_seen": True},
            "with rules": {
                "user": 196, "where": "year >= 1990", "deny": [50],
                "rules": {"pin": [{"item": 100, "place": 1}], "quota": [{"column": "directors", "at_most": 1}]},
            },
        }, also=NO_MODEL,
    ),
    ("POST", "/v1/recommend/batch"): Route(
        "recommend_batch", "Answer several requests at once", schemas.BatchAnswer, schemas.BatchRequest,
        {"two": {"requests": [{"user": 196, "k": 3}, {"history": [50], "k": 3}]}},
    ),
    ("POST", "/v1/explain"): Route(
        "explain", "Say which items of a history raise an item's score", schemas.ExplainAnswer, schemas.ExplainRequest,
        {"a user": {"user": 196, "item": "Fargo (1996)", "k": 3}}, also=NO_ITEM,
    ),
    ("POST", "/v1/events"): Route(
        "events", "Store what people did", schemas.EventsAnswer, schemas.EventsRequest,
        {
            "a user watched": {"events": [{"user": 196, "item": 50, "key": "3f6c-1"}]},
            "a session dislikes": {"events": [{"session_id": "a81f", "item": 50, "kind": "dislike", "key": "3f6c-2"}]},
            "a rating": {"events": [{"user": 196, "item": 50, "kind": "rating", "rating": 4, "key": "3f6c-3"}]},
        },
        also=((404, "The service keeps no events"), (409, "A key came before with another event: nothing was stored")),
    ),
    ("DELETE", "/v1/users/{id:path}"): Route(
        "delete_user", "Delete the stored events of a user, or of session:ID", schemas.DeletedAnswer,
        path={"id": "196"},
        also=((404, "The service keeps no events"),),
    ),
    ("GET", "/v1/similar/{item:path}"): Route(
        "similar", "Recommend what goes with one item", schemas.SimilarAnswer, path={"item": "50"},
        query={"k": 10, "model": "ease"}, also=NO_ITEM,
    ),
    ("GET", "/v1/items"): Route(
        "items", "Find items by their titles", schemas.ItemsAnswer,
        query={"query*": "star wars", "k": 10, "model": "ease"},
        also=NO_MODEL,
    ),
    ("GET", "/v1/models"): Route("models", "List the models that serve", schemas.ModelsAnswer),
    ("POST", "/v1/models/{name}/reload"): Route(
        "reload", "Load a model's folder again and swap it in", schemas.ReloadAnswer, path={"name": "ease"},
        also=(*NO_MODEL, (409, "Refused: the model is no good, or is being loaded already; the old one serves on")),
    ),
    ("GET", "/live"): Route("live", "Whether the process runs", schemas.Health),
    ("GET", "/ready"): Route("ready", "Whether requests are answered", schemas.Health),
    ("GET", "/metrics"): Route("metrics", "Numbers for Prometheus", "text/plain"),
}  # fmt: skip


def _kinds() -> list[type[BaseModel]]:
    """Of all bodies and answers, and rules."""
    kinds = [value for value in vars(schemas).values() if isinstance(value, type) and issubclass(value, BaseModel)]
    return [kind for kind in kinds if kind.__module__ == schemas.__name__ and kind.__name__[0] != "_"] + [Rules]


def describe(app: FastAPI) -> None:
    """Let the application describe itself with our schemas, which its router does not read."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _, parts = models_json_schema([(kind, "validation") for kind in _kinds()], ref_template=REF)
            parts["$defs"]["RecommendRequest"]["properties"]["rules"] = {"$ref": REF.format(model="Rules")}
            found = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes,
            )  # fmt: skip
            components = found.setdefault("components", {})
            components["schemas"] = parts["$defs"]
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            found["security"] = [{"token": []}, {}]
            found["paths"] = {path.replace(":path}", "}"): each for path, each in found["paths"].items()}
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
