"""What the service does for each request, whatever brought it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from matinee import rank
from matinee.data.ids import Id
from matinee.errors import MatineeError
from matinee.explain import explain_items
from matinee.serve import asking
from matinee.serve.asking import Ask, Ranked
from matinee.serve.batching import Batcher
from matinee.serve.events.records import Event, KeyReused, StoreUnavailable
from matinee.serve.limits import EXPLAINED, SESSION, SLOW, Limits
from matinee.serve.live import Live, LiveModels
from matinee.serve.others import Other
from matinee.serve.problems import Problem, Reply, too_busy, unfit, unknown
from matinee.serve.recording import Recorder
from matinee.serve.routing import Routing
from matinee.serve.schemas import Asker, BatchRequest, EventBody, EventsRequest, ExplainRequest, RecommendRequest
from matinee.serve.states import State, StateCache, person_of, state_of
from matinee.serve.telemetry import Telemetry

if TYPE_CHECKING:
    from matinee.serve.stored import Stored

T = TypeVar("T")


class Service:
    """Models, routing, what is known of people, and the threads that work. Its methods are the routes."""

    def __init__(
        self, models: LiveModels, routing: Routing, limits: Limits, telemetry: Telemetry, events: Stored | None = None,
        recorder: Recorder | None = None,
    ) -> None:  # fmt: skip
        self.models, self.routing, self.telemetry, self.events = models, routing, telemetry, events
        self.recorder = recorder
        self.states = StateCache(limits.cached_users)
        self.batcher: Batcher[Ask, Ranked | Problem] = Batcher(asking.answer, telemetry.batch.observe)
        self.slow = ThreadPoolExecutor(1, "slow")  # what must not hold up the others
        self._slow_waiting = 0
        for live in models.now.values():
            self._tell_serving(live)

    async def close(self) -> None:
        if self.recorder is not None:
            await self.recorder.close()
        if self.events is not None:
            await self.events.close()
        self.batcher.close()
        self.slow.shutdown(wait=False, cancel_futures=True)

    # -- recommendations ---------------------------------------------------------------------------------------------

    async def recommend(self, request: RecommendRequest, request_id: str) -> Reply:
        answer, noted = await self.answer(request, request_id)
        return Reply.of(answer, **noted)

    async def recommend_batch(self, batch: BatchRequest, request_id: str) -> Reply:
        each = [self._answer_or_problem(one, f"{request_id}-{row}") for row, one in enumerate(batch.requests)]
        answers = await asyncio.gather(*each)
        return Reply.of({"answers": answers}, requests=len(answers))

    async def _answer_or_problem(self, request: RecommendRequest, request_id: str) -> dict[str, Any]:
        try:
            return (await self.answer(request, request_id))[0]
        except Problem as problem:
            return problem.to_dict() | {"request_id": request_id}

    async def answer(self, request: RecommendRequest, request_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """An answer, and what the log says of it."""
        now = self.models.now
        live, arm, person = self.choose(request, now)
        others = self._others(now, arm, person)
        state, *of_others = await self.known((live, *others), person)
        ask = self._ready(live, state, request)
        found = await (self._slowly(partial(asking.answer, [ask])) if ask.alone else self.batcher.ask(ask))
        ranked = found[0] if isinstance(found, list) else found
        if isinstance(ranked, Problem):
            raise ranked
        if self.recorder is not None and arm is not None and person is not None:
            might = [Other(*one, self.routing.shares[one[0].name]) for one in zip(others, of_others, strict=True)]
            ranked = self.recorder.shown(ask, ranked, arm, person, request_id, self.routing.shares[arm], might)
        if ranked.fallback:
            self.telemetry.fallbacks.labels(live.name).inc()
        served = {"request_id": request_id, "model": live.name, "version": live.version, "arm": arm}
        body = served | {
            "fallback": ranked.fallback,
            "randomised": ranked.drawn,
            "user_known": state.known,
            "history_items": len(ask.state.item),
            "events_read": state.read,
            "unknown_items": ask.unknown,
            "warnings": (*ask.told, *ranked.told),
            "items": _items(live, ranked.item, ranked.score),
        }
        return body, {"model": live.name, "version": live.version, "arm": arm, "fallback": ranked.fallback}

    def choose(self, request: Asker, now: Mapping[str, Live]) -> tuple[Live, str | None, str | None]:
        """The model that answers, the arm where routing chose it, and who asks, as events have them. now: the models
        that serve."""
        default = now[self.routing.default]
        person = person_of(default, request.user, request.session_id)
        if request.model is not None:
            if request.model not in now:
                raise unknown(f"there is no model {request.model!r}: GET /v1/models lists them")
            return now[request.model], None, person
        if person is None:
            return default, None, None
        arm = self.routing.arm(person)
        return now[arm], arm, person

    def _others(self, now: Mapping[str, Live], arm: str | None, person: str | None) -> tuple[Live, ...]:
        """The models that might have answered, where that is recorded."""
        if self.recorder is None or arm is None or person is None:
            return ()
        return tuple(now[name] for name, share in self.routing.shares.items() if share > 0 and name != arm)

    async def known(self, lives: Sequence[Live], person: str | None) -> list[State]:
        """What is known of whoever asks, apart from the request's own history, as each of the models reads it: all from
        the same events."""
        if person is None:
            return [state_of(live, None, ()) for live in lives]
        cached = [self.states.get(person, live.version) for live in lives]
        found = [state for state in cached if state is not None]
        if len(found) == len(lives):
            return found
        reading = self.states.reading(person)
        try:
            events = await self._stored(person)
            found = [state_of(live, person, events) for live in lives]
        except BaseException:
            self.states.drop(reading)
            raise
        if events is None:  # the next request asks the store again
            self.states.drop(reading)
        else:
            self.states.put(reading, {live.version: state for live, state in zip(lives, found, strict=True)})
        return found

    async def _stored(self, person: str) -> Sequence[Event] | None:
        """The events of the store, oldest first; None where it cannot be read."""
        return () if self.events is None else await self.events.history(person)

    def _ready(self, live: Live, state: State, request: RecommendRequest) -> Ask:
        try:
            return asking.ready(live, state, request)
        except MatineeError as error:
            raise unfit(error) from None

    # -- events ------------------------------------------------------------------------------------------------------

    async def add_events(self, request: EventsRequest, request_id: str) -> Reply:
        """Store events. When this answers, they are on the disk, and the next recommendation knows them."""
        store = self._store()
        live = self.models.now[self.routing.default]
        events = [_event(live, event) for event in request.events]
        try:
            stored = await store.add(events)
        except KeyReused as error:
            raise unfit(error, 409) from None
        except StoreUnavailable:
            raise too_busy(
                "the event store is not available: nothing was stored, send the same again later", 5
            ) from None
        finally:  # where it took too long they may be stored all the same
            self.states.forget({event.person for event in events})
        for event, new in zip(events, stored, strict=True):
            if new:
                self.telemetry.events.labels(event.kind).inc()
        return Reply.of({"request_id": request_id, "stored": stored}, events=len(events))

    async def delete_user(self, user: str, request_id: str) -> Reply:
        """Delete what the store has of a user, or of session:ID."""
        store = self._store()
        given = (None, user.removeprefix(SESSION)) if user.startswith(SESSION) else (user, None)
        person = person_of(self.models.now[self.routing.default], *given)
        assert person is not None
        if self.recorder is not None:
            self.recorder.forget(person)
        try:
            deleted = await store.delete(person)
        except StoreUnavailable:
            raise too_busy(
                "the event store is not available: nothing was deleted, send the same again later", 5
            ) from None
        finally:
            self.states.forget([person])
        return Reply.of({"request_id": request_id, "deleted": deleted})

    def _store(self) -> Stored:
        if self.events is None:
            raise unknown("this service keeps no events: start it with --events")
        return self.events

    # -- items -------------------------------------------------------------------------------------------------------

    async def similar(self, item: str, k: int, model: str | None, request_id: str) -> Reply:
        live = self.named(model)
        code = self._code(live, item)
        found = await self._slowly(lambda: rank.similar_to(live.model, [code], k))
        (ranked,) = asking.kept(found, [k])
        body = {
            "request_id": request_id, "model": live.name, "version": live.version, **_item(live, code),
            "fallback": bool(found.fallback[0]), "items": _items(live, *ranked),
        }  # fmt: skip
        return Reply.of(body, model=live.name, version=live.version)

    async def explain(self, request: ExplainRequest, request_id: str) -> Reply:
        live, arm, person = self.choose(request, self.models.now)
        code = self._code(live, request.item)
        (state,) = await self.known([live], person)
        asked = RecommendRequest(**request.model_dump(exclude={"item", "k"}, exclude_unset=True))
        ask = self._ready(live, state, asked)
        why = await self._slowly(
            lambda: explain_items(live.model, asking.queries_of([ask], exclude=False), [code], newest=EXPLAINED)[0]
        )
        order = np.argsort(-np.nan_to_num(why.push, nan=np.inf), kind="stable")[: request.k]
        numbers = zip(why.history[order].tolist(), why.push[order].tolist(), why.without[order].tolist(), strict=True)
        reasons = [
            _item(live, i) | {"push": _number(push), "score_without": _number(rest)} for i, push, rest in numbers
        ]
        served = {"request_id": request_id, "model": live.name, "version": live.version, "arm": arm}
        body = served | _item(live, code) | {
            "score": why.score, "history_items": len(ask.state.item), "unknown_items": ask.unknown, "reasons": reasons,
        }  # fmt: skip
        return Reply.of(body, model=live.name, version=live.version, arm=arm)

    async def items(self, query: str, k: int, model: str | None, request_id: str) -> Reply:
        live = self.named(model)
        found = await self._slowly(lambda: live.find(query, k))
        body = {"request_id": request_id, "model": live.name, "version": live.version, "items": found}
        return Reply.of(body, model=live.name, version=live.version)

    def _code(self, live: Live, item: Id) -> int:
        try:
            code = live.item(item)
        except MatineeError as error:
            raise unfit(error) from None
        if code < 0:
            raise unknown("there is no item with this id or title: GET /v1/items?query= finds items by their titles")
        return code

    # -- health ------------------------------------------------------------------------------------------------------

    async def ready(self) -> Reply:
        return Reply.of({"status": "ready", "events": self.events_status()})

    def events_status(self) -> str:
        if self.events is None:
            return "off"
        return "available" if self.events.up else "unavailable"

    def metrics(self) -> bytes:
        self.telemetry.cached.set(len(self.states))
        self.telemetry.not_recorded.set(0 if self.events is None else self.events.dropped)
        return self.telemetry.text()

    # -- models ------------------------------------------------------------------------------------------------------

    def named(self, model: str | None) -> Live:
        now = self.models.now
        name = self.routing.default if model is None else model
        if name not in now:
            raise unknown("there is no such model: GET /v1/models lists them")
        return now[name]

    def described(self) -> list[dict[str, Any]]:
        """The models that serve, as JSON."""
        return [
            {
                "name": live.name, "kind": live.kind, "version": live.version, "share": self.routing.shares[live.name],
                "users": live.data.n_users, "items": live.data.n_items, "events": len(live.data), "loaded": live.loaded,
            }
            for live in self.models.now.values()
        ]  # fmt: skip

    async def list_models(self, request_id: str) -> Reply:
        experiment, models = self.routing.experiment, self.described()
        return Reply.of({"request_id": request_id, "experiment": experiment, "models": models})

    async def reload(self, name: str, request_id: str) -> Reply:
        """Load a model's folder again. One that is no good is refused, and the old one serves on."""
        live = self.named(name)
        try:
            old, new = await asyncio.to_thread(self.models.reload, name)
        except BlockingIOError:
            raise Problem(409, f"{name} is being loaded already: wait for it") from None
        except MatineeError as error:
            self.telemetry.reloads.labels(name, "refused").inc()
            place = "" if error.where is None else f"{PurePath(error.where).name}: "
            text = f"refused, and version {live.version} serves on: {place}{error.what}"
            raise Problem(409, text, version=live.version) from None
        self.telemetry.reloads.labels(name, "loaded").inc()
        self.telemetry.serving.remove(old.name, old.version, old.kind)
        self._tell_serving(new)
        body = {"request_id": request_id, "model": name, "version": new.version, "previous": old.version}
        return Reply.of(body, model=name, version=new.version)

    def _tell_serving(self, live: Live) -> None:
        self.telemetry.serving.labels(live.name, live.version, live.kind).set(1)

    async def _slowly(self, work: Callable[[], T]) -> T:
        """On the thread for what takes longer. Raises Problem for what does not fit, and where too much waits."""
        if self._slow_waiting >= SLOW:
            raise too_busy("too much that takes long is waiting: come again in a moment")
        self._slow_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.slow, work)
        except MatineeError as error:
            raise unfit(error) from None
        finally:
            self._slow_waiting -= 1


def _event(live: Live, event: EventBody) -> Event:
    """As the store has it: ids as text, an item by its id. Raises Problem."""
    person = person_of(live, event.user, event.session_id)
    assert person is not None
    try:
        code = live.item(event.item)
        item = str(event.item if code < 0 else live.ids[code])  # one that a later model may know
        return Event(person, item, event.kind, event.time, event.rating, event.key)
    except MatineeError as error:
        raise unfit(error) from None


def _items(live: Live, codes: list[int], scores: list[float | None]) -> list[dict[str, Any]]:
    ids, titles = live.ids, live.titles
    return [
        {"item_id": ids[code], "title": titles[code], "score": score} for code, score in zip(codes, scores, strict=True)
    ]


def _item(live: Live, code: int) -> dict[str, Any]:
    return {"item_id": live.ids[code], "title": live.titles[code]}


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
