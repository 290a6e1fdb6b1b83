"""Item and user vectors of a fitted model as Parquet, for a vector store."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from matinee import nn
from matinee.data.arrays import Bools, Floats, Ragged
from matinee.data.dataset import Queries
from matinee.data.ids import IdMap
from matinee.data.query import refuse_no_histories
from matinee.errors import MatineeError, MatineeWarning, counted
from matinee.files import StrPath, atomic_path
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.sasrec import SASRec
from matinee.progress import track

if TYPE_CHECKING:
    import polars as pl

ROWS = 1 << 12  # users answered at once


@runtime_checkable
class WithVectors(Protocol):
    """A model whose scores are products of a vector for a query and one for an item."""

    def item_vectors(self) -> Floats:
        """float32 (n_items, f)."""
        ...

    def vectors(self, queries: Queries) -> Floats:
        """float32 (B, f)."""
        ...


@dataclass(frozen=True)
class VectorFiles:
    """What was written: the length of a vector, and how many items and users have one (None: users not asked for)."""

    width: int
    items: int
    users: int | None


def write_vectors(
    model: Model,
    out: StrPath,
    *,
    users: StrPath | None = None,
    onnx: StrPath | None = None,
    progress: bool = False,
) -> VectorFiles:
    """Write a model's item vectors to a Parquet file, its users' to a second one, and the net that makes users' vectors
    to a third.

    out: a row an item: item_id, title (where the log has titles), vector, f float32 in a list of fixed size. users: a
    row a user of the log: user_id, title (where users are lists with names), vector, what the history as it stands in
    the log gives. `vectors(queries)` of the model gives the same for any other history.

    onnx: a net from histories to vectors, of sasrec and cl4srec without time_gaps and relative. item, int64 (batch,
    places), are rows of `out`, from 0, oldest first, and anywhere their number for nothing; at most max_len places: the
    latest events count. It gives vector, float32 (batch, f), zeros of an empty history.

    For every family score = user . item, so a store must search by the inner product, not by the cosine: lengths count.
    There is no column of biases; they are entries of the vectors that face a 1 of the other side.
    svd, ials, bpr: the score. svd with centred, biased_mf, bayesian_mf, auto_rec: the rating before it is cut to the
    log's range; biased_mf with loss "bce": the logit. bayesian_mf joins its samples, users' over their number.
    sasrec, bert4rec, cl4srec, gru4rec, narm, stamp: the net's state at the end of the history, and the vectors of its
    output layer, those of item_features added. prod2vec: the mean vector of the history's items, and what it faces.

    Items and users to whom the model gives no score of its own (no training event; popularity answers) are left out,
    and a MatineeWarning counts them. Raises MatineeError for a model without vectors, one that learned nothing, users
    of a model without histories, a net that ONNX cannot follow, and a file that is not .parquet or .onnx.

    Example: `mt.write_vectors(mt.models.SVD(n_factors=2).fit(data), "items.parquet", users="users.parquet")`
    """
    if not isinstance(model, WithVectors):
        raise _without(model)
    files = [Path(path) for path in (out, users) if path is not None]
    followed = None if onnx is None else _followed(model, Path(onnx))
    _check(model, files)
    data = model.data
    vectors = model.item_vectors()
    scored = _scored(model)
    _tell(int((~scored).sum()), "item", "without a training event")
    if onnx is not None and followed is not None:
        with atomic_path(onnx) as temp:
            nn.exported.write_onnx(followed.net, scored, followed.fitted.popularity > 0, temp)
    _write(_frame(data.items, "item_id", data.item_features, vectors, scored), files[0])
    if users is None:
        return VectorFiles(vectors.shape[1], int(scored.sum()), None)
    of_users, known = np.empty((data.n_users, vectors.shape[1]), np.float32), np.zeros(data.n_users, np.bool_)
    starts = range(0, data.n_users, ROWS)
    for start in track(starts, "vectors of users", total=len(starts)) if progress else starts:
        codes = np.arange(start, min(start + ROWS, data.n_users), dtype=np.int32)
        queries = data.queries_of(codes, exclude_seen=False, exclude_dislikes=False)
        of_users[codes], known[codes] = model.vectors(queries), ~model.fallback(queries)
    _tell(int((~known).sum()), "user", "of whom the model knows nothing")
    _write(_frame(data.users, "user_id", data.user_features, of_users, known), files[1])
    return VectorFiles(vectors.shape[1], int(scored.sum()), int(known.sum()))


def _without(model: Model) -> MatineeError:
    """The error for a model that scores otherwise."""
    names = [name for name in registry.names() if issubclass(registry.model_class(name), WithVectors)]
    what = f"{type(model).__name__} has no vectors whose inner product is its score"
    return MatineeError(what, hint=f"use one of {', '.join(names)}")


def _check(model: Model, files: list[Path]) -> None:
    """Raise MatineeError before any work."""
    for file in files:
        if file.suffix != ".parquet":
            raise MatineeError("vectors are written as Parquet", where=str(file), hint="name a file *.parquet")
    if len({file.absolute() for file in files}) < len(files):
        raise MatineeError("items and users in one file", where=str(files[0]), hint="name two files")
    if not model.fitted or not model.learned_anything:
        what = f"{type(model).__name__} learned nothing, so its vectors say nothing"
        raise MatineeError(what, hint="fit it on a log where users have two events or more")
    if len(files) > 1:
        refuse_no_histories(model.data)


def _followed(model: Model, file: Path) -> SASRec:
    """The model, whose net torch's exporter can follow. Raises MatineeError for others."""
    if file.suffix != ".onnx":
        raise MatineeError("a net is written as ONNX", where=str(file), hint="name a file *.onnx")
    if not isinstance(model, SASRec):
        what = f"the way of {type(model).__name__} from a history to a vector is not written as ONNX"
        raise MatineeError(what, hint="use sasrec or cl4srec")
    if model.time_gaps or model.relative:
        name = "time_gaps" if model.time_gaps else "relative"
        raise MatineeError(f"a net with {name} is not written as ONNX", hint=f"fit it without {name}")
    return model


def _scored(model: Model) -> Bools:
    """bool (n_items,): true for items that the model can recommend."""
    most = np.array([model.fitted.popularity.argmax()], np.int32)
    history = Ragged(np.array([0, 1], np.int64), most)
    scored: Bools = np.isfinite(model.score(Queries(np.array([-1], np.int32), history, history))[0])
    return scored


def _tell(left_out: int, what: str, why: str) -> None:
    if left_out:
        warnings.warn(f"left out: {counted(left_out, what)} {why}", MatineeWarning, stacklevel=3)


def _frame(ids: IdMap, name: str, table: pl.DataFrame | None, vectors: Floats, kept: Bools) -> pl.DataFrame:
    """The ids, titles and vectors of the kept rows, in code order."""
    import polars as pl

    columns = [ids.series.alias(name)]
    if table is not None and "title" in table.columns:
        columns.append(table["title"].alias("title"))
    rows = np.flatnonzero(kept)
    dense = np.ascontiguousarray(vectors[rows], np.float32)
    return pl.DataFrame(columns)[rows].with_columns(
        pl.Series("vector", dense.ravel(), pl.Float32).reshape((len(dense), dense.shape[1]))
    )


def _write(frame: pl.DataFrame, path: Path) -> None:
    with atomic_path(path) as temp:
        frame.write_parquet(temp)
