"""Models that serve: loaded beside, checked, and swapped in by replacing one immutable object."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee import rank
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.ids import Id, IdMap
from matinee.data.items import find_items
from matinee.data.query import refuse_no_histories
from matinee.errors import MatineeError, listed
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.families.listwise import Described
from matinee.models.mmr import MMR, cosines
from matinee.search import TitleIndex
from matinee.serve.limits import check_name
from matinee.store import load_model, read_manifest

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SMOKE = 5  # users, and as many items
PLACES = 10
POOL = 100  # items among which diverse lists are chosen


@dataclass(frozen=True)
class Live:
    """A model as it serves. version: the first 12 digits of its manifest's SHA-256, which covers every file of it.
    titles: of each item, in code order."""

    name: str
    folder: Path
    model: Model
    version: str
    loaded: str
    ids: tuple[Id, ...]
    titles: tuple[str | None, ...]

    @property
    def data(self) -> Dataset:
        return self.model.data

    @cached_property
    def kind(self) -> str:
        return registry.name_of(self.model)

    @cached_property
    def typical_rating(self) -> float:
        """What a watched item without a rating counts where a model reads ratings: 1 among labels, else the mean."""
        data = self.data
        if data.value is None or not len(data.value):
            return 0.0
        return 1.0 if data.labelled else float(np.mean(data.value, dtype=np.float64))

    @cached_property
    def least_liked(self) -> float | None:
        """The lowest rating whose label is 1, where the log's ratings were made labels; None where they were not."""
        data = self.data
        if not data.labelled or data.raw_rating is None or data.value is None:
            return None
        return float(data.raw_rating[data.value == 1].min())

    def rating(self, given: float) -> float:
        """A rating as the log has them: where it has labels, 1 for what was liked there and 0 for the rest."""
        return given if self.least_liked is None else float(given >= self.least_liked)

    def diverse(self, share: float, k: int) -> Model:
        """The model whose k best are chosen by MMR: items unlike those before them, by who watched both. Raises
        MatineeError for a model that was saved without histories."""
        refuse_no_histories(self.data)
        chosen = MMR(base=self.model, lam=share, places=k, n=max(POOL, 2 * k))
        learned = Described((self.model,), self._alike)
        return chosen.restore(replace(self.model.fitted, learned=learned))

    @cached_property
    def _alike(self) -> csr_array:
        """csr float32 (n_items, n_items): see mmr.cosines."""
        return cosines(self.data)

    def find(self, query: str, k: int) -> list[dict[str, Any]]:
        """Items by their titles, best first."""
        return [{"item_id": found.id, "title": found.title} for found in self._index.find(query, k)]

    @cached_property
    def _index(self) -> TitleIndex:
        return TitleIndex.of(self.ids, self.titles, self.model.fitted.popularity)

    def item(self, given: Id) -> int:
        """The code of a title or an id, -1 where there is none. Raises MatineeError where several share the title."""
        found = self.model.items.find(given)
        if found >= 0 and (isinstance(given, int) or not self.data.titles.codes(given)):
            return found
        if found < 0 and not self.data.titles.codes(str(given)):
            return -1  # find_items would look for near misses
        return find_items([given], self.data)[0]


def load_live(name: str, folder: Path, *, previous: Live | None = None) -> Live:
    """The model of a folder, every file checked, and asked about a few people. Raises MatineeError for one that is
    damaged, gives scores that are no numbers or nothing at all, or lacks items of the model it is to follow."""
    check_name(name)
    version = read_manifest(folder).digest[:12]
    model = load_model(folder)
    if read_manifest(folder).digest[:12] != version:
        raise MatineeError("the folder changed while it was read", where=str(folder), hint="load it again")
    if previous is not None:
        _check_catalogue(model.items, previous.model.items, folder)
    data = model.data
    titles = data.item_titles
    named = (None,) * data.n_items if titles is None else tuple(None if t is None else str(t) for t in titles.to_list())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    live = Live(name, folder, model, version, now, tuple(data.items.ids.tolist()), named)
    _smoke(live)
    return live


def _check_catalogue(new: IdMap, old: IdMap, folder: Path) -> None:
    if new.is_integer != old.is_integer:
        what = "its item ids are of another type than those of the model that serves"
        raise MatineeError(what, where=str(folder), hint="serve a model of another catalogue under a name of its own")
    missing = old.ids[~np.isin(old.ids, new.ids)] if old.is_integer else sorted(set(old.ids) - set(new.ids))
    if len(missing):
        what = f"{len(missing):,} items of the model that serves are not in its catalogue: {listed(map(str, missing))}"
        raise MatineeError(what, where=str(folder), hint="serve a model of another catalogue under a name of its own")


def _smoke(live: Live) -> None:
    """Ask about a few users, histories of one item, and nobody: as requests do, so that the kernels are compiled and
    what is cached is there. Raises MatineeError where an answer is no good."""
    model, data = live.model, live.data
    some = np.unique(np.linspace(0, max(data.n_users - 1, 0), SMOKE).astype(np.int32))[: data.n_users]
    popular = np.argsort(-model.fitted.popularity, kind="stable")[:SMOKE].astype(np.int32)
    ones = Ragged(np.arange(len(popular) + 1, dtype=np.int64), popular)
    nobody, new = Ragged.empty(1), np.full(len(popular), -1, np.int32)
    asked = [Queries(new, ones, Ragged.empty(len(popular))), Queries(new[:1], nobody, nobody)]
    asked += [data.queries_of(some, exclude_seen=False)] if len(data) else []
    for queries in asked:
        found = rank.recommend(model, queries, PLACES)
        if not (found.item[:, 0] >= 0).all():
            raise _refused(live, "recommends nothing")
        if not np.isfinite(found.score[found.item >= 0]).all():
            raise _refused(live, "gives scores that are not finite")
    live.item(live.titles[0] or live.ids[0])  # builds the index of titles
    _ = live.typical_rating, live.least_liked


def _refused(live: Live, what: str) -> MatineeError:
    return MatineeError(f"the model {what}", where=str(live.folder), hint="fit it again on clean data")


class LiveModels:
    """The models by name. What serves is one immutable mapping: a request takes it once, and a swap replaces it."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """Raises MatineeError for a model that cannot serve."""
        if not folders:
            raise MatineeError("there is no model to serve", hint="name the folder of a model")
        self._now: Mapping[str, Live] = MappingProxyType(
            {name: load_live(name, folder) for name, folder in folders.items()}
        )
        self._loading = {name: threading.Lock() for name in folders}

    @property
    def now(self) -> Mapping[str, Live]:
        return self._now

    def reload(self, name: str) -> tuple[Live, Live]:
        """Load the folder of a model again and swap it in: the model before, and the one that serves from now on.

        Raises KeyError for an unknown name, MatineeError for a model that is refused (the old one serves on), and
        BlockingIOError where it is being loaded already.
        """
        lock = self._loading[name]
        if not lock.acquire(blocking=False):
            raise BlockingIOError(name)
        try:
            old = self._now[name]
            new = load_live(name, old.folder, previous=old)
            return self._swap(name, new)
        finally:
            lock.release()

    def _swap(self, name: str, new: Live) -> tuple[Live, Live]:
        with _SWAPPING:  # swaps of two names must not lose one
            old = self._now[name]
            self._now = MappingProxyType({**self._now, name: new})
        return old, new


_SWAPPING = threading.Lock()


def named_folders(folders: Mapping[str, Any] | Any) -> dict[str, Path]:
    """Names and folders: of a mapping, of a folder, or of several, which are named after themselves. Raises
    MatineeError for names that do not fit, and for a name that two have."""
    if isinstance(folders, Mapping):
        return {check_name(str(name)): Path(folder) for name, folder in folders.items()}
    paths = [Path(folder) for folder in ([folders] if isinstance(folders, str | Path) else folders)]
    found: dict[str, Path] = {}
    for path in paths:
        name = check_name(path.resolve().name.lower().replace(".", "-").replace(" ", "-"))
        if name in found:
            hint = "name them: --name a=one --name b=other, or {'a': one, 'b': other}"
            raise MatineeError(f"two models are called {name!r}", hint=hint)
        found[name] = path
    return found
