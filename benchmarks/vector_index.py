"""How much of an exact search approximate indices of vectors keep: recall@10 of faiss on a factor model's vectors.

    python benchmarks/vector_index.py            # 100,000 items, about a minute

A made log, an iALS model of 64 factors, its vectors as `matinee vectors` writes them, and of 2,000 users the ten items
of the largest inner product, exactly and by each index. One thread and fixed seeds: the figures come out again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import polars as pl
from numpy.typing import NDArray

import matinee as mt
from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap

K, FACTORS, ASKED = 10, 64, 2_000
Vectors = NDArray[np.float32]


def made_log(n_items: int, n_users: int, seed: int = 0) -> Dataset:
    """People with three tastes each. A taste is a run of neighbouring items, which overlaps the next two."""
    rng = np.random.default_rng(seed)
    n_events, n_tastes = 10 * n_items, max(10, n_items // 1000)
    user = rng.integers(n_users, size=n_events)
    taste = rng.integers(n_tastes, size=(n_users, 3))[user, rng.integers(3, size=n_events)]
    # within a taste an item's share falls with the root of its place; a tenth of the events are of any item
    width = n_items // n_tastes
    place = (3 * width * rng.random(n_events) ** 2).astype(np.int64)
    item = (taste * width + place) % n_items
    anything = rng.random(n_events) < 0.1
    item[anything] = rng.integers(n_items, size=int(anything.sum()))
    once = np.arange(n_items)  # every item is watched
    user, item = np.concatenate([user, once % n_users]), np.concatenate([item, once])
    pairs = np.unique(user * n_items + item)
    people, items = IdMap(np.arange(n_users)), IdMap(np.arange(n_items))
    return Dataset(people, items, (pairs // n_items).astype(np.int32), (pairs % n_items).astype(np.int32))


def vectors(n_items: int, n_users: int) -> tuple[Vectors, Vectors]:
    """float32 (n_items, f) and (n_users, f): read back from the files."""
    # the log is sparser than MovieLens: with the default alpha0 the pairs that nobody watched would outweigh all others
    model = mt.models.IALS(n_factors=FACTORS, alpha0=0.003, epochs=5).fit(made_log(n_items, n_users))
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "items.parquet"), Path(folder, "users.parquet")
        mt.write_vectors(model, files[0], users=files[1])
        V, U = (np.ascontiguousarray(pl.read_parquet(file)["vector"].to_numpy()) for file in files)
    return V, U


def indices(V: Vectors) -> Iterator[tuple[str, Any]]:
    """What is asked, by name. Each searches by the inner product."""
    f = V.shape[1]
    hnsw = faiss.IndexHNSWFlat(f, 32, faiss.METRIC_INNER_PRODUCT)
    hnsw.hnsw.efConstruction = 80
    hnsw.add(V)
    for ef in (16, 64, 256):
        hnsw.hnsw.efSearch = ef
        yield f"HNSW, M = 32, efSearch = {ef}", hnsw
    lists = max(4, 4 * int(len(V) ** 0.5) // 3)
    ivf = faiss.IndexIVFFlat(faiss.IndexFlatIP(f), f, lists, faiss.METRIC_INNER_PRODUCT)
    ivf.train(V)
    ivf.add(V)
    for nprobe in (1, 8, 32):
        ivf.nprobe = nprobe
        yield f"IVF flat, {lists} lists, nprobe = {nprobe}", ivf
    unit = faiss.IndexFlatIP(f)
    unit.add(V / np.linalg.norm(V, axis=1, keepdims=True))
    yield "exact, but by the cosine", unit


def recall(found: NDArray[np.int64], exact: NDArray[np.int64]) -> float:
    """The share of the exact items that were found; both (n, k)."""
    return float((found[:, :, None] == exact[:, None]).any(axis=1).mean())


def measured(n_items: int, n_users: int) -> tuple[Vectors, list[tuple[str, float]]]:
    """The items' vectors, float32 (n_items, f), and each index with its recall@10."""
    faiss.omp_set_num_threads(1)
    V, U = vectors(n_items, n_users)
    U = U[:ASKED]
    flat = faiss.IndexFlatIP(V.shape[1])
    flat.add(V)
    exact = flat.search(U, K)[1]
    return V, [(name, recall(index.search(U, K)[1], exact)) for name, index in indices(V)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true", help="2,000 items")
    args = parser.parse_args()
    V, rows = measured(*((2_000, 500) if args.toy else (100_000, 20_000)))
    spectrum = np.linalg.svd(V - V.mean(axis=0), compute_uv=False) ** 2
    length = np.linalg.norm(V, axis=1)
    print(f"{len(V):,} items of {V.shape[1]} numbers; half of the variance lies in", end=" ")
    print(
        f"{int(np.searchsorted(spectrum.cumsum(), spectrum.sum() / 2)) + 1} directions; the 99th percentile of", end=" "
    )
    print(f"lengths is {np.percentile(length, 99) / np.median(length):.1f} times their median\n")
    print(f"| index (faiss {faiss.__version__}) | recall@{K} |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value:.3f} |")


if __name__ == "__main__":
    main()
