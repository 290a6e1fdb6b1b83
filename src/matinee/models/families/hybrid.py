"""The family of hybrids: one net reads what a list holds and what its items are like, another its title."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from matinee import nn
from matinee.data.arrays import Bools, Floats, Ragged
from matinee.data.dataset import Dataset, Holdout, Queries
from matinee.data.features.grams import Grams
from matinee.data.titles import plain
from matinee.data.validate import check_queries
from matinee.errors import MatineeError
from matinee.evaluate.stopping import StoppingMetric, quality_of
from matinee.models.base import Fitted, Learned, Shapes, TextFile
from matinee.models.families import counted_join
from matinee.models.families.autoencoder import rows_of
from matinee.models.families.columns import Columns
from matinee.models.families.fusion import PrecomputedScorer
from matinee.models.families.network import NO_CURVE, NetWeights, Network, device_of, finished, import_torch
from matinee.models.families.new_outputs import NewOutputs, added
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.rank import blocks, recommend

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor
    from torch.nn import Module

    from matinee.nn.blocks import SparseBatch
    from matinee.nn.multimodal import ReadTitles
    from matinee.nn.text import Characters
    from matinee.nn.train import Pass, Step

OF_COLUMNS = ("encoder.weight", "decoder.weight", "decoder.bias")
"""Weights of a net with a row, or a number, for each column."""
QUERIES = 10_000
"""At most so many of valid say what the title weighs."""
Titles = tuple[str | None, ...]


@dataclass(frozen=True)
class HybridWeights(NetWeights):
    """texts: JSON of two texts, those of Columns and of Grams. of_item: the attributes, see Columns.
    characters: int64 (n,), see nn.text. idf: of the pieces of titles' words, see Grams. title_share: float64, the join,
    see counted_join. title_curve: float64 (epochs, 3), of the net that reads titles."""

    texts: TextFile
    of_item: csr_array
    characters: NDArray[np.int64]
    idf: Floats
    title_share: counted_join.Shares
    title_curve: NDArray[np.float64]

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        sides = {"of_item": (n_items, self.of_item.shape[1]), "title_share": (len(counted_join.KNOTS),)}
        return {**sides, "idf": self.idf.shape}


class Hybrid(Network):
    """A model whose net has two sides, `rows` and `title` (None where no list has one), which is trained when the other
    is. A member says the nets and what each learns from; encoding, joining and scoring are here."""

    learned_type: ClassVar[type[Learned]] = HybridWeights

    attributes: tuple[str, ...] = tunable(
        (), "columns of the item table; none named: all of text or lists of texts, but titles"
    )
    min_lists: int = tunable(3, "lists that a value of an attribute must be on", ge=1)
    max_title: int = tunable(25, "characters of a title that are read", ge=1)
    pieces: bool = tunable(True, "read titles by runs of 2 to 4 letters too, by TF-IDF")
    value_lists: bool = tunable(
        True, "values of attributes are lists too, of their items and with their names as titles"
    )
    title_epochs: int | None = tunable(None, "most epochs of the net that reads titles; None: `epochs`", ge=1)
    feature_l2: float = tunable(
        3.0,
        "ridge by which attributes say the outputs of new items",
        low=0.1,
        high=100.0,
        log=True,
        gt=0.0,
    )

    @abstractmethod
    def sides(self, columns: Columns, characters: Characters, n_pieces: int, start: Tensor) -> Module:
        """A fresh net. start: (len(columns),), log odds that a list has each column."""

    @abstractmethod
    def loss_of_rows(self, net: Any, rows: SparseBatch, step: Step) -> Tensor:
        """The loss of what lists hold, summed over the rows, a tensor ()."""

    @abstractmethod
    def loss_of_titles(self, net: Any, titles: ReadTitles, rows: SparseBatch, step: Step) -> Tensor:
        """The loss of titles whose lists hold these rows, a tensor ()."""

    # -- what a net is made of ---------------------------------------------------------------------------------------

    def build(self, data: Dataset) -> Module:
        columns = Columns.fit(data, self.attributes, self.min_lists)
        titles, _ = self._titled_lists(columns, data)
        grams = Grams.fit(titles if self.pieces else ())
        start, known = log_odds(columns, data), data.item_counts() > 0
        return self._both(columns, nn.text.Characters.fit(titles), grams, start, known)

    def rebuilt(self, fitted: Fitted) -> Module:
        learned, torch = fitted.learned, import_torch()
        attributes, pieces = json.loads(learned.texts)
        columns = Columns.of_text(attributes, learned.of_item)
        grams = Grams.of_text(pieces, learned.idf)
        characters, start = nn.text.Characters(learned.characters), torch.zeros(len(columns))
        net: Any = self._both(columns, characters, grams, start, fitted.popularity > 0)
        net.title_share = learned.title_share
        return net  # type: ignore[no-any-return]

    def _both(self, columns: Columns, characters: Characters, grams: Grams, start: Tensor, known: Bools) -> Module:
        net: Any = self.sides(columns, characters, len(grams.pieces), start)
        net.columns, net.characters, net.grams = columns, characters, grams
        net.new_outputs = NewOutputs(columns.of_item, known, ~known, self.feature_l2)
        net.learned_columns = np.flatnonzero(np.append(known, np.ones(len(columns) - len(known), np.bool_)))
        net.title_share = np.zeros(len(counted_join.KNOTS))  # until the other net has learned, and then this one
        return net  # type: ignore[no-any-return]

    def _titled_lists(self, columns: Columns, data: Dataset) -> tuple[Titles, Ragged]:
        """Titles, and int32 rows: the columns of the lists called so. Values of attributes follow; nothing where no
        list has a title."""
        users = np.flatnonzero(data.user_counts()).astype(np.int32)
        titles: Titles = data.user_titles(users) or ()
        titled = np.array([bool(plain(title)) for title in titles], np.bool_)
        if not titled.any():
            return (), Ragged.empty(0)
        rows = columns.rows(data.histories().take(users[titled]))
        titles = tuple(np.array(titles, object)[titled].tolist())
        if not self.value_lists:
            return titles, rows
        names, called = self._value_lists(columns, data)
        return (*titles, *names), rows.above(called)

    def _value_lists(self, columns: Columns, data: Dataset) -> tuple[Titles, Ragged]:
        """Names of values, and int32 rows: the columns of lists of their items, no longer than the longest list."""
        return columns.named(data.item_counts(), int(data.user_counts().max()))

    def learned_from(
        self, net: Any, data: Dataset, weights: dict[str, NDArray[Any]], curve: NDArray[np.float64]
    ) -> HybridWeights:
        known = net.columns
        texts = TextFile(json.dumps([known.text, net.grams.text], ensure_ascii=False))
        kept = known.of_item, net.characters.points, net.grams.idf, net.title_share
        return HybridWeights(weights, curve, texts, *kept, NO_CURVE, net=net)

    def learned_with(self, data: Dataset) -> HybridWeights:
        """New items have the outputs that their attributes say."""
        learned: HybridWeights = self.fitted.learned
        columns, n = self.net.columns.of_log(data), len(self.items)
        new = NewOutputs(columns.of_item, *added(self.fitted.popularity, data.n_items), self.feature_l2)
        weights, torch = dict(learned.weights), import_torch()
        for name, value in weights.items():
            if name.endswith(OF_COLUMNS) and len(value) == n + len(columns) - data.n_items:
                rows = np.zeros((data.n_items - n, *value.shape[1:]), value.dtype)
                weights[name] = np.concatenate([value[:n], rows, value[n:]])
                new.fill(torch.from_numpy(weights[name]))
        return replace(learned, weights=weights, of_item=columns.of_item, net=None)

    # -- training ------------------------------------------------------------------------------------------------------

    def passes(self, net: Any, data: Dataset) -> tuple[list[Pass], int]:
        users = np.flatnonzero(data.user_counts() > 0).astype(np.int32)
        rows = net.columns.rows(data.histories().take(users))
        if self.value_lists:
            _, lists = self._value_lists(net.columns, data)
            rows = rows.above(lists.take(np.flatnonzero(lists.lengths > 2)))  # of two items or more, and the value

        def of_rows(batch: NDArray[np.int64], step: Step) -> Tensor:
            return self.loss_of_rows(net, _batch(rows.take(batch)).to(device_of(net)), step)

        return [nn.train.Pass("rows", of_rows, list(net.rows.parameters()))], len(rows)

    def pass_of_titles(self, net: Any, data: Dataset) -> tuple[Pass, int]:
        """The pass of the net that reads titles, and the number of its examples."""
        titles, rows = self._titled_lists(net.columns, data)
        kept = np.flatnonzero(self._readable(net, titles))

        def of_titles(batch: NDArray[np.int64], step: Step) -> Tensor:
            read = self._read(net, tuple(titles[row] for row in kept[batch]))
            return self.loss_of_titles(net, read, _batch(rows.take(kept[batch])).to(device_of(net)), step)

        return nn.train.Pass("title", of_titles, list(net.title.parameters())), len(kept)

    def learn(self, data: Dataset, context: FitContext) -> HybridWeights:
        """The net of rows first. That of titles learns longer or shorter, so it has an early stopping of its own, and
        where there are titles each has a checkpoint."""
        titles = data.user_titles(np.flatnonzero(data.user_counts()).astype(np.int32)) or ()
        learned = super().learn(data, context.of_member(0) if any(map(plain, titles)) else context)
        assert isinstance(learned, HybridWeights)
        net = learned.net
        net.title_share = counted_join.by_rule()
        if net.title is None:
            return replace(learned, title_share=net.title_share)
        net.begin_titles()
        only, n = self.pass_of_titles(net, data)
        epochs = self.epochs if self.title_epochs is None else self.title_epochs
        longest = self.model_copy(update={"epochs": epochs, "stop_epoch": None})
        told = replace(context.of_member(1), valid=titled_alone(context.valid))
        standing = self.standing(data, learned).part("title")
        validate = finished(told.measuring(standing), lambda: self.finish_titles(net))
        curve = longest.train(net, [only], n, data, told, validate)
        self.finish_titles(net)
        found = self.learned_from(net, data, {name: x.numpy() for name, x in net.state_dict().items()}, learned.curve)
        return replace(found, title_curve=curve)

    def finish(self, net: Any) -> None:
        """Give items without an event the outputs that their attributes say."""
        net.new_outputs.fill(net.rows.vectors)
        net.new_outputs.fill(net.rows.decoder.bias)

    def finish_titles(self, net: Any) -> None:
        """The same for the net that reads titles."""
        for output in net.title.decoder.parameters():
            net.new_outputs.fill(output)

    def for_refit(self) -> Self:
        """Takes the epochs of both nets along."""
        metrics = self.fitted.learned.title_curve[:, 2]
        measured = bool(np.isfinite(metrics).any())
        epochs = int(np.nanargmax(metrics)) + 1 if measured else len(metrics) or self.title_epochs
        return super().for_refit().model_copy(update={"title_epochs": epochs})

    def joined(self, learned: HybridWeights, data: Dataset, context: FitContext) -> HybridWeights:
        """The same with the title's share as valid says, where it has lists with titles; else by the rule."""
        valid = context.valid
        if valid is None or valid.queries.title is None or learned.net.title is None:
            return learned
        metric = context.metric if context.metric is not None and context.metric.k else self.stopping_metric(valid)
        standing = self.standing(data, learned)
        rows = valid.spread(QUERIES)
        asked = standing._titled(valid.queries.take(rows)) & (standing._known(valid.queries.take(rows)) > 0)
        queries, truth = valid.queries.take(rows[asked]), metric.part(valid).truth.take(rows[asked])
        quality = np.concatenate([np.empty((0, len(counted_join.GRID))), *standing._by_share(queries, truth, metric)])
        learned.net.title_share = counted_join.learned(standing._known(queries), quality)
        return replace(learned, title_share=learned.net.title_share)

    def _by_share(self, queries: Queries, truth: Ragged, metric: StoppingMetric) -> Iterator[NDArray[np.float64]]:
        """float64 (rows, len(GRID)), block by block: each query's metric where the title has each share."""
        for start, block in blocks(queries, len(self.items)):
            items, title = self._sides(block)
            answers = truth.slice(start, start + len(block))
            columns = []
            for share in counted_join.GRID.astype(np.float32):
                scores = self._of_items(counted_join.probability(items + share * (title - items)))
                listed = recommend(PrecomputedScorer(self, scores), block, metric.k).item
                columns.append(quality_of(listed, answers, metric))
            yield np.stack(columns, axis=1)

    # -- answers -------------------------------------------------------------------------------------------------------

    def reads_titles(self) -> bool:
        return True

    def scores_unknown_items(self) -> bool:
        return self.is_fitted and self.fitted.learned.of_item.shape[1] > 0

    def fallback(self, queries: Queries) -> Bools:
        nothing = super().fallback(queries)
        if not self.learned_anything:
            return nothing
        titled = self._titled(queries) & (self.net.title is not None)
        unknown: Bools = self._known(queries) == 0
        return nothing & ~titled & unknown

    def part(self, name: Literal["items", "title"]) -> Self:
        """The fitted model as it answers by one of its nets: by what lists hold, or by their titles, alone.

        Raises MatineeError for another name.

        Example: `model.part("title")`"""
        if name not in ("items", "title"):
            raise MatineeError(f"{type(self).__name__} has no part {name!r}", hint='use "items" or "title"')
        shares = np.full(len(counted_join.KNOTS), 1.0 if name == "title" else 0.0)
        net = copy(self.net)
        net.title_share = shares
        alone = self.model_copy()
        alone._fitted = replace(self.fitted, learned=replace(self.fitted.learned, title_share=shares, net=net))
        return alone

    def score_histories(self, queries: Queries) -> Floats:
        return self._of_items(self.probabilities(queries))

    def _of_items(self, probability: Floats) -> Floats:
        """float32 (B, n_items): of the columns' probabilities those of items; -inf where nothing is known of one."""
        columns: Columns = self.net.columns
        scores: Floats = probability[:, : columns.n_items].copy()
        scores[:, (self.fitted.popularity == 0) & (np.diff(columns.of_item.indptr) == 0)] = -np.inf
        return scores

    def score_attributes(self, queries: Queries, column: str) -> tuple[tuple[str, ...], Floats]:
        """The values of an attribute, and how likely each is on a list, float32 (B, values)."""
        values, place = self.net.columns.of(column)
        check_queries(queries, len(self.users), len(self.items))
        return values, self.probabilities(queries)[:, place].copy()

    def probabilities(self, queries: Queries) -> Floats:
        """float32 (B, columns): of what a list holds and of its title, their log odds joined."""
        torch, net = import_torch(), self.net
        share = np.zeros(len(queries), np.float32)
        if net.title is not None:
            share[:] = counted_join.share_of(self._known(queries), net.title_share, self._titled(queries))
        with torch.inference_mode():
            rows = _batch(self._rows(queries)).to(device_of(net))
            titles = tuple((queries.title or ())[row] for row in np.flatnonzero(share))
            said = self._read(net, titles) if titles else None
            found: Floats = net.joined(rows, said, torch.from_numpy(share).to(device_of(net))).float().cpu().numpy()
        return counted_join.probability(found)

    def _sides(self, queries: Queries) -> tuple[Floats, Floats]:
        """float32 (B, columns) twice: the log odds by what lists hold, and by their titles, which all of them have."""
        torch, net = import_torch(), self.net
        with torch.inference_mode():
            rows = _batch(self._rows(queries)).to(device_of(net))
            found: Floats = net.rows(rows).float().cpu().numpy()
            said: Floats = net.of_titles(self._read(net, queries.title or ())).float().cpu().numpy()
        return found, said

    def _rows(self, queries: Queries) -> Ragged:
        """int32 (B rows): columns of each history."""
        rows: Ragged = self.net.columns.rows(queries.history, self.fitted.popularity > 0)
        return rows

    def _known(self, queries: Queries) -> NDArray[np.int64]:
        """int64 (B,): distinct items of each history that say something: seen in training, or by their attributes."""
        of_item = self.net.columns.of_item
        useful = (self.fitted.popularity > 0) | (np.diff(of_item.indptr) > 0)
        return np.diff(queries.history.keep(useful[queries.history.values]).matrix(len(useful)).indptr).astype(np.int64)

    def _titled(self, queries: Queries) -> Bools:
        """bool (B,): queries whose title says something."""
        return self._readable(self.net, queries.title or (None,) * len(queries))

    def _readable(self, net: Any, titles: Titles) -> Bools:
        """bool (B,)."""
        readable: Bools = net.characters.readable(titles, longest=self.max_title)
        return readable

    def _read(self, net: Any, titles: Titles) -> ReadTitles:
        """B titles as tensors."""
        torch, device = import_torch(), device_of(net)
        codes: Tensor = torch.from_numpy(net.characters.encode(titles, longest=self.max_title)).to(device)
        if not net.grams.pieces:
            return nn.multimodal.ReadTitles(codes)
        found = net.grams.rows(titles)
        rows = Ragged(found.indptr.astype(np.int64), found.indices.astype(np.int32))
        return nn.multimodal.ReadTitles(codes, rows_of(rows, found.data, np.full(len(titles), -1)).to(device))


def titled_alone(valid: Holdout | None) -> Holdout | None:
    """The queries of a holdout that have nothing but a title, or, where there are none, all with a title; None where no
    query has one."""
    titles = None if valid is None else valid.queries.title
    if valid is None or titles is None:
        return None
    titled = np.array([bool(plain(title)) for title in titles], np.bool_)
    alone = titled & (valid.queries.history.lengths == 0)
    rows = np.flatnonzero(alone if alone.any() else titled)
    return valid.take(rows) if len(rows) else None


def log_odds(columns: Columns, data: Dataset) -> Tensor:
    """float32 (len(columns),): log odds that a list of the log has each column, where a logistic loss begins."""
    torch = import_torch()
    users = np.flatnonzero(data.user_counts())
    on = np.bincount(columns.rows(data.histories().take(users)).values, minlength=len(columns))
    share = (on + 0.5) / (len(users) + 1.0)
    odds: Tensor = torch.from_numpy(np.log(share / np.maximum(1.0 - share, 1e-3)).astype(np.float32))
    return odds


def _batch(rows: Ragged) -> SparseBatch:
    """Rows of 1s as tensors."""
    return rows_of(rows, np.ones(len(rows.values), np.float32), np.full(len(rows), -1))
