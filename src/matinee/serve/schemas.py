"""What requests and answers hold. Requests are read by these; answers are written directly, and these describe them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator

from matinee.serve.limits import ALL_K, BATCH, HISTORY, IDENTITY, LISTED, MODEL_NAME, SESSION, TEXT, K


def _readable(text: str) -> str:
    """Raises ValueError for what no id or title holds and no database keeps."""
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("control characters are not allowed")
    return text


ShortText = Annotated[str, Field(min_length=1, max_length=TEXT), AfterValidator(_readable)]
Number = Annotated[int, Strict(), Field(ge=-(2**63), lt=2**63)]
Identity = Annotated[str, Field(min_length=1, max_length=IDENTITY), AfterValidator(_readable)]
Identifier = Number | Identity
Second = Annotated[int, Strict(), Field(ge=0, lt=2**40, description="Unix seconds")]
Rating = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
ModelName = Annotated[str, Field(pattern=f"^{MODEL_NAME.pattern}$", description="in place of the one routing chooses")]
Cell = ShortText | Annotated[bool, Strict()] | Number | Annotated[float, Field(allow_inf_nan=False)] | None
TITLE = "the name of a list (a playlist), for models that read it"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Watched(_Body):
    """An event of a history: an item by its id or title, with what is known of it."""

    item: Identifier
    time: Second | None = None
    rating: Rating | None = None


def _no_session(user: int | str) -> int | str:
    """Raises ValueError: the events of a session stand under this name."""
    if isinstance(user, str) and user.startswith(SESSION):
        raise ValueError(f"a user's id does not begin with {SESSION!r}: give session_id")
    return user


User = Annotated[Identifier, AfterValidator(_no_session)]


class Asker(_Body):
    """Who asks: a user or a session, whose history is known, what someone watched, or both."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": [name]} for name in ("user", "session_id", "history", "title")]}
    )

    user: User | None = Field(None, description="an id of the log, or of stored events")
    session_id: Identity | None = Field(None, description="in place of a user: someone without an account")
    history: tuple[Identifier | Watched, ...] = Field(
        (), max_length=HISTORY, description="oldest first, behind the known one"
    )
    title: ShortText | None = Field(None, description=TITLE)
    model: ModelName | None = None
    at: Second | None = Field(None, description="time of the request; without: the end of the history")
    context: dict[ShortText, Cell] = Field(
        {}, max_length=100, description="columns of the log's events, for models that read them"
    )
    user_features: dict[ShortText, Cell] = Field({}, max_length=100, description="who asks, for models that read it")

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.user is not None and self.session_id is not None:
            raise ValueError("user and session_id are given: name one of them")
        if self.user is None and self.session_id is None and not self.history and self.title is None:
            raise ValueError("nobody asks: give user, session_id, history or title")
        events = [event for event in self.history if isinstance(event, Watched)]
        for name in ("time", "rating"):
            given = sum(getattr(event, name) is not None for event in events)
            if given not in (0, len(self.history)):
                raise ValueError(f"history: {given} of {len(self.history)} events have a {name}: give all or none")
        return self


class RecommendRequest(Asker):
    """Who asks, and what may be recommended."""

    k: Annotated[int, Strict(), Field(ge=1, le=K)] = 10
    allow: tuple[Identifier, ...] | None = Field(None, max_length=LISTED, description="only these items")
    deny: tuple[Identifier, ...] = Field((), max_length=LISTED, description="none of these items")
    where: Annotated[str, Field(max_length=4_000)] | None = Field(
        None, description="an expression over the items' table"
    )
    exclude_seen: Annotated[bool, Strict()] = True
    rules: dict[str, Any] = Field({}, description="mt.Rules, which reads them on the thread where they are applied")
    diversity: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] = Field(
        0.0, description="0: the model's list; up to 1: items unlike each other first (MMR, by who watched them)"
    )


class BatchRequest(_Body):
    requests: tuple[RecommendRequest, ...] = Field(min_length=1, max_length=BATCH)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if (total := sum(request.k for request in self.requests)) > ALL_K:
            raise ValueError(f"{total:,} items are asked for in all, and the most is {ALL_K:,}: make two batches")
        return self


class ExplainRequest(Asker):
    """Why an item: which items of the history raise its score."""

    item: Identifier
    k: Annotated[int, Strict(), Field(ge=1, le=K)] = 5


class EventBody(_Body):
    """key: of your choice, another for each event. The same event with the same key is stored once."""

    user: User | None = None
    session_id: Identity | None = None
    item: Identifier
    kind: Literal["watch", "rating", "dislike"] = "watch"
    time: Second | None = Field(None, description="without: the time of arrival")
    rating: Rating | None = None
    key: Identity

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.user is None) == (self.session_id is None):
            raise ValueError("give either user or session_id")
        if (self.kind == "rating") != (self.rating is not None):
            raise ValueError('a rating belongs to kind "rating", and only to it')
        return self


class EventsRequest(_Body):
    """All of them are stored, or none."""

    events: tuple[EventBody, ...] = Field(min_length=1, max_length=BATCH)


# --- answers ------------------------------------------------------------------------------------------------------


class RankedItem(BaseModel):
    item_id: int | str
    title: str | None
    score: float | None = Field(description="null: a pinned item that the model cannot score")


class Served(BaseModel):
    """Which model answered. version: the first 12 digits of its manifest's SHA-256."""

    request_id: str
    model: str
    version: str
    arm: str | None = Field(
        description="the model routing chose for this user; null: the request named a model, or nobody"
    )


class Answer(Served):
    fallback: bool = Field(description="popularity answered: the model knows nothing of the history")
    randomised: bool = Field(description="the list was drawn at random, for what can be learned from it")
    user_known: bool = Field(description="whether the log or stored events know this user")
    history_items: int = Field(description="events of the history that the model answered by")
    events_read: bool = Field(description="false: the event store could not be read, and the log alone was used")
    unknown_items: list[int | str] = Field(
        description="of history, allow and deny: not in the model's catalogue, and left out"
    )
    warnings: list[str]
    items: list[RankedItem]


class BatchAnswer(BaseModel):
    answers: list[Answer | ProblemAnswer]


class SimilarAnswer(BaseModel):
    request_id: str
    model: str
    version: str
    item_id: int | str
    title: str | None
    fallback: bool
    items: list[RankedItem]


class Reason(BaseModel):
    item_id: int | str
    title: str | None
    push: float | None = Field(description="score - score_without; null: nothing known is left without the item")
    score_without: float | None


class ExplainAnswer(Served):
    item_id: int | str
    title: str | None
    score: float
    history_items: int
    unknown_items: list[int | str]
    reasons: list[Reason]


class EventsAnswer(BaseModel):
    """stored[i]: false where the event's key was stored before."""

    request_id: str
    stored: list[bool]


class DeletedAnswer(BaseModel):
    request_id: str
    deleted: int


class FoundItem(BaseModel):
    item_id: int | str
    title: str


class ItemsAnswer(BaseModel):
    request_id: str
    model: str
    version: str
    items: list[FoundItem]


class ServedModel(BaseModel):
    name: str
    kind: str
    version: str
    share: float = Field(description="of the users that routing gives to it")
    users: int
    items: int
    events: int
    loaded: str


class ModelsAnswer(BaseModel):
    request_id: str
    experiment: str
    models: list[ServedModel]


class ReloadAnswer(BaseModel):
    request_id: str
    model: str
    version: str
    previous: str


class Health(BaseModel):
    status: str
    events: str | None = None


class Finding(BaseModel):
    field: str
    message: str


class ProblemAnswer(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    errors: list[Finding] = []


BatchAnswer.model_rebuild()
