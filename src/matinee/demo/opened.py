"""What the demo shows: fitted models of one log, its items by title, and the reports of their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from matinee.data.arrays import Ints
from matinee.data.dataset import Dataset
from matinee.data.items import ItemCard, item_cards
from matinee.data.query import with_request_time
from matinee.errors import MatineeError, counted
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.ensemble import Ensemble
from matinee.models.families.mixture import Mixture
from matinee.models.mmr import cosines
from matinee.models.popularity import Popularity
from matinee.report.names import readable
from matinee.report.palette import Look, looks
from matinee.search import JOINED, TitleIndex
from matinee.store import MANIFEST, load_model
from matinee.study.folder import REPORT

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BLEND = "Blend"


@dataclass(frozen=True, eq=False)
class Shown:
    """A model on the page. name: as people write it. members: names of an ensemble's members, whose weights may be
    set."""

    label: str
    name: str
    model: Model
    look: Look
    members: tuple[str, ...] = ()

    @property
    def weights(self) -> tuple[float, ...]:
        """Of the members; of groups of queries, those of the first."""
        learned: Mixture = self.model.fitted.learned
        return tuple(np.atleast_2d(learned.weights)[0].tolist()) if self.members else ()


@dataclass(frozen=True, eq=False)
class Opened:
    """Models of one log, and what is asked of the log while people look at them. reports: run -> its report."""

    shown: tuple[Shown, ...]
    reports: Mapping[str, Path]

    @property
    def data(self) -> Dataset:
        return self.shown[0].model.data

    @cached_property
    def popularity(self) -> Ints:
        """int64 (n_items,): events of each item."""
        return self.data.item_counts().astype(np.int64)

    @cached_property
    def cards(self) -> list[ItemCard]:
        """Of each item, in code order."""
        return item_cards(self.data, range(self.data.n_items))

    @cached_property
    def titles(self) -> TitleIndex:
        """The items by title, with their codes as ids."""
        return TitleIndex.of(range(self.data.n_items), [card.name for card in self.cards], self.popularity)

    @cached_property
    def similarity(self) -> csr_array:
        """csr float32 (n_items, n_items): what diversity is measured by, see MMR."""
        return cosines(self.data)

    def search(self, query: str, n: int) -> list[int]:
        """At most n item codes; similar spellings only where no title fits."""
        found = self.titles.find(query, n)
        whole = [match for match in found if match.score >= JOINED]
        return [int(match.id) for match in whole or found]

    def model(self, label: str) -> Shown:
        return next(each for each in self.shown if each.label == label)

    def well_known(self, n: int) -> list[int]:
        """Popular items that differ: each time the most popular of the genres seen least."""
        order = np.argsort(-self.popularity, kind="stable")[: 20 * n].tolist()
        order = [code for code in order if self.popularity[code]]
        found: list[int] = []
        often: dict[str, int] = {}
        while order and len(found) < n:
            best = min(order, key=lambda code: sum(often.get(genre, 0) for genre in self.cards[code].genres))
            order.remove(best)
            found.append(best)
            for genre in self.cards[best].genres:
                often[genre] = often.get(genre, 0) + 1
        return found

    def people(self, n: int) -> list[int]:
        """At most n users with events, from the most to the least active, evenly spread."""
        counts = self.data.user_counts()
        order = np.argsort(-counts, kind="stable")[: int(np.count_nonzero(counts))]
        return [int(code) for code in order[np.unique(np.linspace(0, len(order) - 1, n).astype(np.int64))]]


@cache
def open_models(folders: tuple[Path, ...]) -> Opened:
    """The models of folders: a model's, or a run's with all of its models. Several single models are joined in a blend,
    whose weights may be set, unless one is an ensemble already.

    Raises MatineeError for a folder without a model, and for models of different logs.
    """
    models: dict[str, Model] = {}
    reports: dict[str, Path] = {}
    for folder in folders:
        for path in model_folders(folder):
            models[_unused(path.name, models)] = load_model(path)
        report = folder.resolve() / REPORT
        if report.is_file():
            reports[report.parent.name] = report
    return opened(models, reports)


def opened(models: Mapping[str, Model], reports: Mapping[str, Path] | None = None) -> Opened:
    """Label -> fitted model, as the page shows them. Raises MatineeError for none, and for models of different logs."""
    if not models:
        raise MatineeError("there is no model to show", hint="name the folder of a model or of a run")
    first, *others = models.items()
    for label, model in others:
        if model.users != first[1].users or model.items != first[1].items:
            what = f"{label} was fitted on other users or items than {first[0]}"
            raise MatineeError(what, hint="show models of one log together, such as those of one run")
    if not len(first[1].data):
        what = f"{first[0]} was saved without histories, and the page needs the log"
        raise MatineeError(what, hint="save it with histories")
    models = _with_blend(models)
    names = readable({label: registry.name_of(model) for label, model in models.items()})
    look = looks(models)
    shown = (Shown(label, names[label], model, look[label], _members(model)) for label, model in models.items())
    return Opened(tuple(shown), dict(reports or {}))


def model_folders(folder: Path) -> list[Path]:
    """The folder of a model, or the folders of a run's models in the order of its recipe. Raises MatineeError."""
    if (folder / MANIFEST).is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob(f"models/*/{MANIFEST}"))
    if not found:
        what = "no model is here" if folder.exists() else "there is no such folder"
        raise MatineeError(what, where=str(folder), hint="name a folder that `matinee fit` or `matinee run` wrote")
    return found


def _with_blend(models: Mapping[str, Model]) -> Mapping[str, Model]:
    """The models, and all but popularity together."""
    alone = {label: model for label, model in models.items() if not isinstance(model, Popularity)}
    if len(alone) < 2 or any(isinstance(model, Ensemble) for model in models.values()):
        return models
    members = tuple(alone.values())
    blend = Ensemble(members=members, weights=(1.0,) * len(members)).fit(members[0].data)
    return {**models, _unused(BLEND, models): blend}


def _members(model: Model) -> tuple[str, ...]:
    """The names of an ensemble's members, each with its number where several have one name."""
    if not isinstance(model, Ensemble) or model.quotas is not None:
        return ()
    learned: Mixture = model.fitted.learned
    names = [registry.name_of(member) for member in learned.members]
    if len(names) < 2:
        return ()
    numbered = [name if names.count(name) == 1 else f"{name} {at}" for at, name in enumerate(names, start=1)]
    return tuple(readable(dict(zip(numbered, names, strict=True))).values())


def with_weights(model: Model, weights: Sequence[float]) -> Model:
    """A fitted ensemble with other weights of its members; as it is where none is above 0."""
    learned: Mixture = model.fitted.learned
    row = np.asarray(weights, np.float64)
    if not row.any():
        return model
    return model.standing(model.data, replace(learned, weights=row / row.sum(), edges=np.empty(0)))


def _unused(label: str, taken: Mapping[str, Model]) -> str:
    """The label, with a number where it is taken."""
    found, number = label, 1
    while found in taken:
        number += 1
        found = f"{label}-{number}"
    return found


@cache
def reads_moment(shown: Shown) -> bool:
    """Whether the time of a request changes scores: asked of the model itself."""
    model, data = shown.model, shown.model.data
    if data.timestamp is None:
        return False
    first = int(data.timestamp.min())
    query = data.queries_of(np.array([int(data.user[0])], np.int32))
    scores = [model.score(with_request_time(query, first + step)) for step in (0, 4_000_000, 100_000_000)]
    return any(not np.array_equal(scores[0], other) for other in scores[1:])


@cache
def reads_people(shown: Shown) -> bool:
    """Whether what a request says of who asks changes scores: asked of the model itself, for somebody unknown."""
    model = shown.model
    table = model.data.user_features
    if table is None or not table.width:
        return False
    query = model.data.queries_of(np.array([int(model.data.user[0])], np.int32))
    query = replace(query, user=np.array([-1], np.int32))
    rows = np.unique(np.linspace(0, len(table) - 1, 4).astype(np.int64)).tolist()
    scores = [model.score(replace(query, user_features=table[row])) for row in rows]
    return any(not np.array_equal(scores[0], other) for other in scores[1:])


def sizes(data: Dataset) -> str:
    """The log in one line."""
    return f"{counted(len(data), 'event')} of {counted(data.n_users, 'user')} and {counted(data.n_items, 'item')}"
