"""Scores -> Recommendations: masks, filters, ties and top-k, once for every model, in bounded memory.

Queries are scored block by block; nothing of size (queries, items) exists. Of items with equal scores the one with the
lower code ranks first, whatever the number of threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.data.arrays import Bools, Floats, Ints, Ragged
from matinee.data.dataset import Dataset, Queries, Scorer
from matinee.data.frames import in_pandas
from matinee.data.ids import Id, IdMap
from matinee.data.items import find_items
from matinee.data.validate import check_queries
from matinee.errors import MatineeError, counted
from matinee.notebook import html_notes, html_panel, html_table, score_text
from matinee.progress import track
from matinee.rules import Rules
from matinee.rules.applied import Applied

if TYPE_CHECKING:
    import polars as pl

# Scores of one block; models may hold a few arrays of this size. Small enough to be memory used again and again: above
# some 16 MB every block would be mapped, zeroed and unmapped by the system, which costs more than the selection.
BLOCK_BYTES = 8 << 20
FEW = 100  # items of a list up to which sorting them in by insertion is quicker than collecting and selecting
SHOWN = 3  # lists in a notebook
Allowed = Sequence[Id] | Mapping[Id, Sequence[Id]]
Ranked = list[tuple[Id, float]]
"""Items and their scores, best first."""


class Asked(NamedTuple):
    """Which queries were answered: 16 hex digits each of their users, histories, exclusions, candidates and titles."""

    users: str
    histories: str
    exclusions: str
    candidates: str
    titles: str = ""

    @classmethod
    def of(cls, queries: Queries) -> Asked:
        history, exclude = queries.history, queries.exclude
        seen = _digest(history.offsets, history.values)
        excluded = seen if exclude is history else _digest(exclude.offsets, exclude.values)
        listed = "" if queries.candidates is None else _digest(queries.candidates)
        titled = "" if queries.title is None else _digest(np.frombuffer(repr(queries.title).encode(), np.uint8))
        return cls(_digest(queries.user), seen, excluded, listed, titled)

    def differing(self, other: Asked) -> list[str]:
        """The names of the parts that differ."""
        return [name for name, a, b in zip(self._fields, self, other, strict=True) if a != b]


@dataclass(frozen=True)
class Recommendations:
    """The k best items of each of B queries, best first.

    user: int32 (B,) codes, -1 = never seen. item: int32 (B, k), -1 = nothing left to recommend. score: float32 (B, k).
    tied: bool (B,), an item left out has exactly the k-th score. fallback: bool (B,), answered by popularity.
    asked: the queries, None where the lists come from elsewhere; `evaluate` refuses lists for other queries.
    item_titles: of every item, in code order, where the model's log has titles: a notebook shows them. rules: those the
    lists keep, in words; `evaluate` writes them into the protocol.

    `recs["user id"]` is that user's list [(item id, score), ...]; `for user, items in recs` goes through all lists.

    Example: `mt.recommend(model, split.test.queries, k=10).to_frame()`
    """

    users: IdMap
    items: IdMap
    user: Ints
    item: Ints
    score: Floats
    tied: Bools
    fallback: Bools
    item_titles: pl.Series | None = field(default=None, repr=False)
    asked: Asked | None = None
    rules: str = ""

    @property
    def k(self) -> int:
        return int(self.item.shape[1])

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return f"Recommendations({self.k} items for each of {len(self):,} queries)"

    def __iter__(self) -> Iterator[tuple[Id | None, Ranked]]:
        """(user id, list) of each query, in their order; None for someone who is not of the log."""
        for row, user in enumerate(self.user.tolist()):
            yield (self.users.decode([user])[0] if user >= 0 else None), self._ranked(row)

    def __getitem__(self, user: Id) -> Ranked:
        """The list of one user: (item id, score), best first.

        Raises MatineeError for a user who is not of the log or was not asked about, and for one with several queries.
        """
        rows = np.flatnonzero(self.user == self.users.code(user))
        if len(rows) != 1:
            what = f"there are {len(rows):,} lists for user {user!r}" if len(rows) else f"no list is for user {user!r}"
            raise MatineeError(what, hint="for (user, items) in the recommendations gives the list of each query")
        return self._ranked(int(rows[0]))

    def __contains__(self, user: object) -> bool:
        """Whether one of the lists is for this user id."""
        code = self.users.find(user) if isinstance(user, int | str) else -1
        return code >= 0 and bool((self.user == code).any())

    def _ranked(self, row: int) -> Ranked:
        kept = self.item[row] >= 0
        return list(zip(self.items.decode(self.item[row][kept]), self.score[row][kept].tolist(), strict=True))

    def _repr_html_(self) -> str:
        titles = self.item_titles
        rows: list[tuple[Any, ...]] = []
        for row, (user, items) in zip(range(SHOWN), self, strict=False):
            names = [None] * len(items) if titles is None else titles.gather(self.item[row][: len(items)]).to_list()
            cells: list[tuple[Any, ...]] = [
                (rank, name, item, score_text(score))
                for rank, name, (item, score) in zip(count(1), names, items, strict=False)
            ]
            first = "someone new" if user is None else f"user {user}"
            for one in cells or [(None, "nothing is left to recommend", None, None)]:
                rows.append((first, *one))
                first = ""
        head = ["", "rank", "title", "item_id", "score"]
        if not any(name for _, _, name, _, _ in rows):
            head, rows = head[:2] + head[3:], [line[:2] + line[3:] for line in rows]
        queries = counted(len(self), "query")
        more, popular = len(self) - SHOWN, int(np.count_nonzero(self.fallback))
        return html_panel(
            f"{counted(self.k, 'item')} for {'' if len(self) == 1 else 'each of '}{queries}",
            html_table(head, rows, numbers={1, len(head) - 1}),
            html_notes(
                f"… {counted(more, 'more list')}; to_frame() gives them all" if more > 0 else "",
                f"{counted(popular, 'list')} answered by popularity" if popular else "",
            ),
        )

    def to_pandas(self, data: Dataset | None = None) -> Any:
        """`to_frame`, as a dataframe of pandas. Raises MatineeError where pandas and pyarrow are not installed."""
        return in_pandas(self.to_frame(data))

    def to_frame(self, data: Dataset | None = None) -> pl.DataFrame:
        """Columns user_id, item_id, score, rank (from 1); `query` (row number) where users do not tell rows apart.

        data: the log, for a column `title` where it has titles.
        """
        import polars as pl

        row, column = np.nonzero(self.item >= 0)
        user = self.user[row]
        users = self.users.series.gather(np.maximum(user, 0)) if len(self.users) else [None] * len(row)
        items, rank = self.items.series.gather(self.item[row, column]), (column + 1).astype(np.int32)
        frame = pl.DataFrame({"query": row, "user_id": users, "item_id": items, "score": self.score[row, column]})
        frame = frame.with_columns(user_id=pl.when(pl.Series(user >= 0)).then("user_id"), rank=rank)
        if data is not None and data.item_titles is not None:
            frame = frame.with_columns(title=data.item_titles.gather(self.item[row, column]))
        told_apart = len(self) == 1 or ((self.user >= 0).all() and len(np.unique(self.user)) == len(self.user))
        return frame.drop("query") if told_apart else frame


def recommend(
    model: Scorer, queries: Queries, k: int = 10, *, allow: Allowed | None = None, deny: Allowed | None = None,
    rules: Rules | None = None, progress: bool = False,
) -> Recommendations:  # fmt: skip
    """The k best items for each query, without what the query excludes.

    allow, deny: item ids for every query, or {user id: item ids}; users that are not named are not restricted. rules:
    what every list must keep: expressions over the item table, quotas, pins, boosts (the scores are boosted ones then).
    Raises MatineeError for a k that is no whole number from 1, unknown ids in allow or deny, rules that no list can
    keep, queries with codes the model does not have, or a model that returns NaN.

    Example: `mt.recommend(model, mt.query(model, user=196), k=5)`
    """
    if not isinstance(k, int | np.integer) or k < 1:
        raise MatineeError(f"k = {k!r} is not a number of items", hint="pass a whole number from 1")
    check_queries(queries, len(model.users), len(model.items))
    data = _log_of(model)
    columns = len(model.items) if queries.candidates is None else queries.candidates.shape[1]
    applied = Applied.of(rules, model.items, data, k) if rules else None
    masks = _Masks(model, allow, deny, None if applied is None else applied.forbidden)
    item = np.full((len(queries), k), -1, np.int32)
    score = np.full((len(queries), k), -np.inf, np.float32)
    tied = np.zeros(len(queries), np.bool_)
    fallback = np.zeros(len(queries), np.bool_)
    # a model may score the whole catalogue and pick the candidates afterwards
    for start, block in blocks(queries, max(columns, len(model.items)), progress=progress):
        rows = slice(start, start + len(block))
        scores = model.score(block)
        exclude = masks.exclude(block)
        codes = None
        masks.keep_allowed(block, scores)
        if block.candidates is not None:
            scores, codes = _sort_candidates(scores, block.candidates)
            masks.mask_candidates(block, codes, exclude, scores)
        else:
            masks.mask(block, exclude, scores)
        if applied is not None:
            applied.boost(scores, codes)
        if applied is not None and applied.chooses:
            pinnable = masks.pinnable(block, exclude, applied.pinned)
            best = partial(top_k, first_row=start)
            item[rows], score[rows], tied[rows] = applied.choose(scores, codes, pinnable, k, best)
        else:
            _best(scores, codes, start, item[rows], score[rows], tied[rows])
        fallback[rows] = model.fallback(block)
    if applied is not None:
        applied.tell()
    titles = None if data is None else data.item_titles
    words = str(rules) if rules else ""
    return Recommendations(
        model.users, model.items, queries.user, item, score, tied, fallback, titles, Asked.of(queries), words
    )


def _best(scores: Floats, codes: Ints | None, start: int, item: Ints, score: Floats, tied: Bools) -> None:
    """Write the k best columns of scores (B, columns) into item and score (B, k), and tied (B,), as item codes."""
    best = min(item.shape[1], scores.shape[1])
    found, score[:, :best], tied[:] = top_k(scores, best, first_row=start)
    if codes is not None:
        found = np.where(found >= 0, np.take_along_axis(codes, np.maximum(found, 0), axis=1), -1).astype(np.int32)
    item[:, :best] = found


def similar_items(model: Scorer, items: Iterable[Any] | Id, k: int = 10) -> Recommendations:
    """For each item the k items that the model recommends to someone who watched only that one.

    items: titles or ids, or a single one; found as in `query`. Raises MatineeError for one that is not found.

    Example: `mt.similar_items(model, "Toy Story (1995)", k=5)`
    """
    data = _log_of(model)
    if data is not None:
        return similar_to(model, find_items(items, data), k)
    return similar_to(model, model.items.codes([items] if isinstance(items, str | int) else items), k)


def similar_to(model: Scorer, items: Sequence[int] | Ints, k: int) -> Recommendations:
    """`similar_items` of item codes."""
    codes = np.asarray(items, np.int32)
    history = Ragged(np.arange(len(codes) + 1, dtype=np.int64), codes)
    return recommend(model, Queries(user=np.full(len(codes), -1, np.int32), history=history, exclude=history), k)


def _log_of(model: Scorer) -> Dataset | None:
    """The log that a model was fitted on; None for a scorer that is no model of ours."""
    data = getattr(model, "data", None)
    return data if isinstance(data, Dataset) else None


def blocks(queries: Queries, columns: int, *, progress: bool = False) -> Iterator[tuple[int, Queries]]:
    """(first row, rows) of consecutive parts whose scores, float32 (rows, columns), fit into BLOCK_BYTES."""
    size = max(1, BLOCK_BYTES // (4 * max(columns, 1)))
    starts = range(0, len(queries), size)
    for start in track(starts, "ranking", total=len(starts)) if progress else starts:
        yield start, queries.slice(start, start + size)


def top_k(scores: Floats, k: int, *, first_row: int = 0) -> tuple[Ints, Floats, Bools]:
    """Columns int32 (B, k) and scores float32 (B, k) of the k best of each row, -1 and -inf where fewer can be scored;
    and `tied`, bool (B,)."""
    n = len(scores)
    item, score = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    tied, nan = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    select = kernels.ranking.top_k_rows if k <= FEW else kernels.ranking.top_many_rows
    kernels.parallel(lambda a, b: select(a, b, scores, item, score, tied, nan), n, chunk=128)
    if nan.any():
        hint = "its training diverged or its input holds NaN: fit again with a smaller learning rate or clean data"
        raise MatineeError(f"the model returned NaN scores for query {first_row + int(nan.argmax())}", hint=hint)
    return item, score, tied


def of_candidates(scores: Floats, candidates: Ints | None) -> Floats:
    """float32 (B, C): of scores (B, n_items) each row's candidates (None: all), -inf where it has fewer (-1)."""
    if candidates is None:
        return scores
    chosen = np.take_along_axis(scores, np.maximum(candidates, 0), axis=1)
    chosen[candidates < 0] = -np.inf
    return chosen


class _Masks:
    """Allow and deny lists, by call or by user, and what rules forbid, as masks over a block of scores."""

    def __init__(
        self, model: Scorer, allow: Allowed | None, deny: Allowed | None, forbidden: Bools | None = None
    ) -> None:
        """forbidden: bool (n_items,)."""
        codes = model.items.codes
        self.n_items = len(model.items)
        self.allowed_of, self.denied_of = (
            {model.users.code(u): codes(ids) for u, ids in lists.items()} if isinstance(lists, Mapping) else {}
            for lists in (allow, deny)
        )
        mask = np.full(self.n_items, allow is not None and not isinstance(allow, Mapping))
        if allow is not None and not isinstance(allow, Mapping):
            mask[codes(allow)] = False
        if deny is not None and not isinstance(deny, Mapping):
            mask[codes(deny)] = True
        if forbidden is not None:
            mask |= forbidden
        self.forbidden = np.flatnonzero(mask)  # for every query

    def exclude(self, block: Queries) -> Ragged:
        """int32 (B rows): what each query of the block may not be given, apart from what is forbidden to all."""
        if not self.denied_of:
            return block.exclude
        none = np.empty(0, np.int32)
        return block.exclude.join(Ragged.from_lists([self.denied_of.get(u, none) for u in block.user.tolist()]))

    def keep_allowed(self, block: Queries, scores: Floats) -> None:
        """-inf, in place, at every item that is not on the list of a user who has one."""
        for row, user in enumerate(block.user.tolist() if self.allowed_of else []):
            allowed = self.allowed_of.get(user)
            if allowed is not None and block.candidates is None:
                kept = scores[row, allowed]
                scores[row] = -np.inf
                scores[row, allowed] = kept
            elif allowed is not None and block.candidates is not None:
                scores[row, ~np.isin(block.candidates[row], allowed)] = -np.inf

    def mask(self, block: Queries, exclude: Ragged, scores: Floats) -> None:
        """-inf at every excluded or forbidden item, in place."""
        scores[:, self.forbidden] = -np.inf
        kernels.parallel(
            lambda a, b: kernels.ranking.mask_rows(a, b, exclude.offsets, exclude.values, scores), len(block), chunk=256
        )

    def mask_candidates(self, block: Queries, candidates: Ints, exclude: Ragged, scores: Floats) -> None:
        """The same where columns are candidates; a repeated candidate counts once."""
        if len(self.forbidden):
            scores[np.isin(candidates, self.forbidden)] = -np.inf
        kernels.ranking.mask_candidates(
            0, len(block), candidates, exclude.offsets, exclude.values, self.n_items, scores
        )

    def pinnable(self, block: Queries, exclude: Ragged, pinned: Ints) -> Bools:
        """bool (B, k): whether each query may be given what is pinned at each place, int32 (k,), -1 = nothing."""
        may = np.tile(pinned >= 0, (len(block), 1))
        for place in np.flatnonzero(pinned >= 0):
            code = pinned[place]
            may[:, place] &= code not in self.forbidden
            may[exclude.rows[exclude.values == code], place] = False
            if block.candidates is not None:
                may[:, place] &= (block.candidates == code).any(axis=1)
            for row, user in enumerate(block.user.tolist() if self.allowed_of else []):
                may[row, place] &= code in self.allowed_of.get(user, [code])
        return may


def _digest(*arrays: NDArray[Any]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _sort_candidates(scores: Floats, candidates: Ints) -> tuple[Floats, Ints]:
    """float32 and int32 (B, C): the columns of each row in code order, which breaks ties as everywhere else."""
    order = np.argsort(candidates, axis=1, kind="stable")
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(candidates, order, axis=1)
