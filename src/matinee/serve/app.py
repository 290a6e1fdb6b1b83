"""The application: routes, what stands before them, and what OpenAPI says of both."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import IO, TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from matinee.errors import MatineeError

try:
    import orjson  # noqa: F401
    import prometheus_client  # noqa: F401
    from fastapi import FastAPI, Request, Response
    from starlette.exceptions import HTTPException
except ImportError as error:
    raise MatineeError(f"a service needs {error.name}", hint="pip install 'matinee[serve]'") from None

from matinee.files import StrPath
from matinee.serve import schemas
from matinee.serve.guard import LOOPBACK, Guard, Handler
from matinee.serve.limits import IDENTITY, SESSION, TEXT, K, Limits
from matinee.serve.live import LiveModels, named_folders
from matinee.serve.openapi import EXAMPLES, describe
from matinee.serve.problems import PROBLEM, Problem, Reply, invalid
from matinee.serve.recording import Recorder
from matinee.serve.routing import Routing
from matinee.serve.service import Service
from matinee.serve.telemetry import PLAIN, RequestIds, Telemetry
from matinee.version import __version__

if TYPE_CHECKING:
    from matinee.serve.stored import Stored

B = TypeVar("B", bound=BaseModel)


def create_app(
    models: Mapping[str, StrPath] | Iterable[StrPath] | StrPath,
    *,
    events: str | None = None,
    routing: Mapping[str, float] | None = None,
    experiment: str = "default",
    explore: float = 0.0,
    record_answers: bool | None = None,
    token: str | None = None,
    allowed_hosts: Iterable[str] = LOOPBACK,
    limits: Limits | None = None,
    log: IO[bytes] | None = None,
) -> FastAPI:
    """An ASGI application that serves fitted models: `matinee serve`, for a server of your own.

    models: folders by name, or folders, which are named after themselves. events: the URL of the event store; None:
    no events are taken. routing: weights of the models that share the users; None: the first answers all. experiment:
    the name under which users are dealt. explore: the share of lists that are drawn at random, so that other models
    can be judged by what people did. record_answers: whether what people are shown is kept in the event store; None:
    where it has a use, with several models that share the users or randomised lists. token: what every request must
    bring. allowed_hosts: the names by which the service may be addressed. log: where a line of JSON for each request
    goes.
    Raises MatineeError for a model that cannot serve, and options that do not fit.

    Example: `app = mt.create_app({"ease": "models/ease"})`
    """
    limits = limits or Limits()
    live = LiveModels(named_folders(models))
    telemetry = Telemetry(log)
    dealt = Routing.of(list(live.now), routing, experiment)
    stored = _stored(events, limits, telemetry)
    several = sum(share > 0 for share in dealt.shares.values()) > 1
    recording = bool(explore or several) and stored is not None if record_answers is None else record_answers
    service = Service(live, dealt, limits, telemetry, stored, _recorder(stored, explore, recording))
    ids = RequestIds()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    app = FastAPI(
        title="Matinee", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Recommendations of fitted models.", redirect_slashes=False,
    )  # fmt: skip
    app.state.service = service
    fast = _posts(service)
    for (method, path), handler in fast.items():
        _add(app, method, path, _endpoint(handler))
    _add_gets(app, service)
    app.add_middleware(Guard, limits=limits, telemetry=telemetry, token=token, hosts=allowed_hosts, fast=fast, ids=ids)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    describe(app)
    return app


def _stored(events: str | None, limits: Limits, telemetry: Telemetry) -> Stored | None:
    if events is None:
        return None
    from matinee.serve.stored import Stored  # loads SQLAlchemy

    return Stored(events, limits, telemetry.store_failures.inc)


def _recorder(stored: Stored | None, explore: float, recording: bool) -> Recorder | None:
    """Raises MatineeError where answers cannot be kept, or lists would be drawn for nothing."""
    if stored is None and (explore or recording):
        raise MatineeError(
            "what people are shown is kept in an event store, and there is none", hint="name one: events"
        )
    if explore and not recording:
        raise MatineeError("lists would be drawn at random, and not kept", hint="keep answers, or set explore to 0")
    return Recorder(stored, explore) if stored is not None and recording else None


def _posts(service: Service) -> dict[tuple[str, str], Handler]:
    """The routes with a body and a fixed path."""
    return {
        ("POST", "/v1/recommend"): _reading(schemas.RecommendRequest, service.recommend),
        ("POST", "/v1/recommend/batch"): _reading(schemas.BatchRequest, service.recommend_batch),
        ("POST", "/v1/explain"): _reading(schemas.ExplainRequest, service.explain),
        ("POST", "/v1/events"): _reading(schemas.EventsRequest, service.add_events),
    }


def _reading(kind: type[B], work: Callable[[B, str], Awaitable[Reply]]) -> Handler:
    """A handler of bodies of this kind. Raises Problem for others."""

    async def handler(body: bytes, request_id: str) -> Reply:
        try:
            request = kind.model_validate_json(body)
        except ValidationError as error:
            raise invalid(error) from None
        return await work(request, request_id)

    return handler


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """The same for the router, which is asked only where the guard is not in front."""

    async def endpoint(request: Request) -> Response:
        return _response(await handler(await request.body(), _id(request)))

    return endpoint


def _add_gets(app: FastAPI, service: Service) -> None:
    """The routes whose paths or queries say what is wanted."""

    async def similar(request: Request) -> Response:
        query = _Query(request, {"k", "model"})
        return _response(
            await service.similar(request.path_params["item"], query.k(), query.text("model"), _id(request))
        )

    async def items(request: Request) -> Response:
        query = _Query(request, {"query", "k", "model"})
        text = query.text("query")
        if not text:
            raise Problem(422, "query: name a title, or a part of one")
        return _response(await service.items(text, query.k(), query.text("model"), _id(request)))

    async def delete_user(request: Request) -> Response:
        given = request.path_params["id"]
        if not given.removeprefix(SESSION) or len(given) > IDENTITY:
            raise Problem(422, f"id: 1 to {IDENTITY} characters")
        return _response(await service.delete_user(given, _id(request)))

    async def models(request: Request) -> Response:
        return _response(await service.list_models(_id(request)))

    async def reload(request: Request) -> Response:
        return _response(await service.reload(request.path_params["name"], _id(request)))

    async def live(request: Request) -> Response:
        return _response(Reply.of({"status": "live"}))

    async def ready(request: Request) -> Response:
        return _response(await service.ready())

    async def metrics(request: Request) -> Response:
        return Response(service.metrics(), media_type=PLAIN)

    _add(app, "GET", "/v1/similar/{item:path}", similar)
    _add(app, "GET", "/v1/items", items)
    _add(app, "DELETE", "/v1/users/{id:path}", delete_user)
    _add(app, "GET", "/v1/models", models)
    _add(app, "POST", "/v1/models/{name}/reload", reload)
    _add(app, "GET", "/live", live)
    _add(app, "GET", "/ready", ready)
    _add(app, "GET", "/metrics", metrics)


def _add(app: FastAPI, method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
    documented = EXAMPLES[method, path]
    app.add_api_route(
        path, endpoint, methods=[method], response_model=None, summary=documented.summary,
        responses=documented.responses(), openapi_extra=documented.extra(), operation_id=documented.name,
    )  # fmt: skip


class _Query:
    """The query of a URL. Raises Problem for what it may not hold."""

    def __init__(self, request: Request, known: set[str]) -> None:
        self.given = request.query_params
        if extra := sorted(set(self.given) - known):
            raise Problem(422, f"{extra[0][:50]!r} is no parameter here: there are {', '.join(sorted(known))}")

    def text(self, name: str) -> str | None:
        text = self.given.get(name)
        if text is not None and len(text) > TEXT:
            raise Problem(422, f"{name}: at most {TEXT} characters")
        return text

    def k(self) -> int:
        text = self.given.get("k", "10")
        if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= K):
            raise Problem(422, f"k: a whole number from 1 to {K:,}")
        return int(text)


def _id(request: Request) -> str:
    seen = request.scope.get("matinee")
    return "" if seen is None else str(seen.request_id)


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers), reply.media_type)


async def _problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    problem.more["request_id"] = _id(request)
    return _response(problem.reply())


async def _http_error(request: Request, error: Exception) -> Response:
    """What the router says itself: no such path, or not by this method."""
    assert isinstance(error, HTTPException)
    words = {404: "there is nothing at this path: GET /openapi.json lists what there is", 405: "not by this method"}
    problem = Problem(error.status_code, words.get(error.status_code, "the request cannot be answered"))
    problem.more["request_id"] = _id(request)
    reply = problem.reply()
    return Response(reply.body, reply.status, dict(error.headers or {}), PROBLEM)
