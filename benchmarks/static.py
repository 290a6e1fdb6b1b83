"""Matinee beside RecTools, irspack and implicit: one run, one matrix, in turn; medians and ratios, and the same judge.

    .bench-venv/bin/python benchmarks/static.py --data-dir ../shared/data [--work ease_fit,topk] [--repeats 5]

Prints a table and appends one JSON line to benchmarks/results/static.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import workload
from floor import Floor, cholesky_inverse, gram
from peers import LIBRARIES, METRICS, Implicit, Library, Matinee, RecTools, quiet
from timing import Contender, Row, environment, race
from workload import L2, Floats, Ints, K, Log

HERE = Path(__file__).parent


@dataclass
class Bench:
    """What the works share. toy: everything small, to see that it runs."""

    log: Log
    data_dir: Path
    repeats: int
    toy: bool

    @cached_property
    def libraries(self) -> list[Library]:
        return [kind(self.log) for kind in LIBRARIES]

    @cached_property
    def factors(self) -> tuple[Floats, Floats]:
        return Implicit(self.log).fit_als()

    def judge(self, row: Row, answers: dict[str, Ints]) -> Row:
        for name, item in answers.items():
            recall, ndcg = workload.recall_and_ndcg(item, self.log.test)
            row.facts[name] = {f"recall@{K}": round(recall, 4), f"ndcg@{K}": round(ndcg, 4)}
        return row


def ease_fit(bench: Bench) -> Iterator[Row]:
    """l2 500; what each model then recommends is judged."""
    floor = Floor(bench.log)
    fits = [Contender(library.name, library.fit_ease) for library in [*bench.libraries, floor]]
    G = gram(bench.log)
    G.flat[:: len(G) + 1] += np.float32(L2)
    parts = [
        Contender("floor: Gram alone", lambda: gram(bench.log)),
        Contender("floor: potrf + potri alone", lambda: cholesky_inverse(G.copy())),
    ]
    row, models = race("EASE fit", [*fits, *parts], bench.repeats)
    by_name = {library.name: library for library in bench.libraries}
    yield bench.judge(
        row,
        {name: lib.items(lib.recommend(models[name])) for name, lib in by_name.items() if name in models},
    )


def recommend_ease(bench: Bench) -> Iterator[Row]:
    """Top 10 of all users, seen items masked, from a fitted EASE."""
    yield race_recommend(bench, "recommend, EASE", lambda library: library.fit_ease())


def recommend_factors(bench: Bench) -> Iterator[Row]:
    """Top 10 of all users, seen items masked, every library given the same 64 factors."""
    yield race_recommend(bench, "recommend, 64 factors", lambda library: library.dot_product(*bench.factors))


def race_recommend(bench: Bench, work: str, model_of: Callable[[Library], Any]) -> Row:
    contenders = []
    for library in bench.libraries:
        try:
            model = model_of(library)
        except NotImplementedError:
            continue
        contenders.append(Contender(library.name, partial(library.recommend, model), library.one_blas_thread))
    row, answers = race(work, contenders, bench.repeats)
    by_name = {library.name: library for library in bench.libraries}
    return bench.judge(row, {name: by_name[name].items(answer) for name, answer in answers.items()})


def itemknn(bench: Bench) -> Iterator[Row]:
    """Cosine, 50 neighbours: fit and top 10 of all users, seen items masked."""

    def work(library: Library) -> Callable[[], Any]:
        return lambda: library.recommend(library.fit_item_knn())

    contenders = [Contender(library.name, work(library)) for library in bench.libraries]
    row, answers = race("ItemKNN, fit + recommend", contenders, bench.repeats)
    by_name = {library.name: library for library in bench.libraries}
    yield bench.judge(row, {name: by_name[name].items(answer) for name, answer in answers.items()})


def ials_fit(bench: Bench) -> Iterator[Row]:
    """64 factors, 15 iterations; what each model then recommends is judged."""
    fits = [Contender(library.name, library.fit_ials, library.one_blas_thread) for library in bench.libraries]
    row, models = race("iALS fit", fits, bench.repeats)
    by_name = {library.name: library for library in bench.libraries}
    yield bench.judge(row, {name: by_name[name].items(by_name[name].recommend(m)) for name, m in models.items()})


def topk(bench: Bench) -> Iterator[Row]:
    """20,480 users x 20,108 items x 128 random factors."""
    n_users, n_items, d, seen = (200, 100, 8, 10) if bench.toy else (20_480, 20_108, 128, 70)
    user, item = workload.draw_log(n_users, n_items, seen * n_users, seed=1)
    seen_items = workload.ones(user, item, (n_users, n_items))
    log = Log("topk", seen_items, seen_items)
    rng = np.random.default_rng(0)
    U, V = (rng.standard_normal((n, d), dtype=np.float32) for n in (n_users, n_items))
    ours, theirs = Matinee(log), Implicit(log)
    our_model, their_model = ours.dot_product(U, V), theirs.dot_product(U, V)
    out = np.empty((min(1024, n_users), n_items), np.float32)

    def product() -> None:
        for start in range(0, n_users, len(out)):
            block = U[start : start + len(out)]
            np.matmul(block, V.T, out=out[: len(block)])

    contenders = [
        Contender("matinee", lambda: ours.recommend(our_model)),
        Contender("implicit", lambda: theirs.recommend(their_model), one_blas_thread=True),
        Contender(
            "implicit, nothing masked",
            lambda: their_model.recommend(theirs.users, log.train, N=K, filter_already_liked_items=False),
            one_blas_thread=True,
        ),
        Contender("floor: product alone", product),
    ]
    row, answers = race(f"top-10 of {n_users:,} x {n_items:,} x {d}", contenders, bench.repeats)
    same = (ours.items(answers["matinee"]) == theirs.items(answers["implicit"])).all(1).mean()
    row.facts["implicit"] = {"lists equal to ours": f"{same:.2%}"}
    yield row


def one_user(bench: Bench) -> Iterator[Row]:
    """One user a call, 64 factors, seen items masked."""
    ours = Matinee(bench.log)
    contenders = [Contender("matinee, query made too", partial(ours.ask_one, ours.dot_product(*bench.factors), 7))]
    for library in [ours, RecTools(bench.log), Implicit(bench.log)]:
        model = library.dot_product(*bench.factors)
        contenders.append(Contender(library.name, partial(library.recommend_one, model, 7), library.one_blas_thread))
    yield race("one user, 64 factors", contenders, bench.repeats, calls=20)[0]


def metrics(bench: Bench) -> Iterator[Row]:
    """recall and ndcg of 10 recommendations: the log's users, then as many as MovieLens 20M has."""
    rng = np.random.default_rng(0)
    for n_users in (bench.log.n_users, 400 if bench.toy else 136_677):
        n_items = bench.log.n_items
        truth = workload.ones(*workload.draw_log(n_users, n_items, 20 * n_users, seed=2), (n_users, n_items))
        first = rng.integers(n_items, size=n_users)
        lucky = np.flatnonzero(np.diff(truth.indptr))[::2]
        first[lucky] = truth.indices[truth.indptr[lucky]]  # half of them find something at rank 1
        item = (first[:, None] + np.arange(K) * 7) % n_items  # no item twice in a row
        contenders = [Contender(name, make(item, truth)) for name, make in METRICS.items()]
        row, answers = race(f"recall, ndcg of {n_users:,} x {K}", contenders, bench.repeats)
        judged = workload.recall_and_ndcg(item, truth)
        for name, values in answers.items():
            row.facts[name] = {"equal to the judge's": bool(np.allclose(values, judged, rtol=1e-6))}
        yield row


def imports(bench: Bench) -> Iterator[Row]:
    """Whole processes, the interpreter's own start included."""
    commands = {
        "matinee": ["-c", "import matinee"],
        "matinee --help": ["-m", "matinee", "--help"],
        "matinee, first EASE()": ["-c", "import matinee as mt; mt.models.EASE()"],
        "rectools": ["-c", "import rectools.models"],
        "irspack": ["-c", "import irspack"],
        "implicit": ["-c", "import implicit"],
        "floor: python alone": ["-c", "pass"],
    }

    def start(arguments: list[str]) -> Callable[[], Any]:
        return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    yield race("import", [Contender(name, start(words)) for name, words in commands.items()], bench.repeats)[0]


def memory(bench: Bench) -> Iterator[Row]:
    """EASE fit, each in a process of its own; megabytes above start."""
    yield race_children("EASE fit, own process", ["matinee", "rectools", "irspack", "floor"], bench, bench.log.name, 1)


def ease_large(bench: Bench) -> Iterator[Row]:
    """EASE on 20,108 items and 10M synthetic events, ours against the bare kernels."""
    log = "toy" if bench.toy else "large"
    yield race_children("EASE fit, 20,108 items, 10M events", ["matinee", "floor"], bench, log, 1)


def race_children(work: str, names: list[str], bench: Bench, log: str, repeats: int) -> Row:
    row = Row(work)
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(repeats):
        for name, results in measured.items():
            words = [sys.executable, str(HERE / "child.py"), name, log, str(bench.data_dir)]
            done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
            results.append(json.loads(done.stdout))
    for name, results in measured.items():
        row.seconds[name] = [result["seconds"] for result in results]
        row.facts[name] = {
            "peak MB above start": round(median(result["mb"] for result in results)),
            "with loading the library": round(median(result["cold_mb"] for result in results)),
        }
    return row


WORKS = {
    "ease_fit": ease_fit,
    "recommend_ease": recommend_ease,
    "recommend_factors": recommend_factors,
    "itemknn": itemknn,
    "ials_fit": ials_fit,
    "topk": topk,
    "one_user": one_user,
    "metrics": metrics,
    "import": imports,
    "memory": memory,
    "ease_large": ease_large,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"), help="holds ml-1m/ratings.dat")
    parser.add_argument("--work", default=",".join(WORKS), help="comma-separated; default: %(default)s")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--toy", action="store_true", help="200 x 100 made-up events: only to see that it runs")
    parser.add_argument("--unset-openblas-coretype", action="store_true", help="start again without that variable")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "static.jsonl")
    options = parser.parse_args()
    works = options.work.split(",")
    if unknown := set(works) - set(WORKS):
        parser.error(f"unknown work {', '.join(sorted(unknown))}; choose from {', '.join(WORKS)}")
    if options.unset_openblas_coretype and "OPENBLAS_CORETYPE" in os.environ:
        del os.environ["OPENBLAS_CORETYPE"]  # OpenBLAS read it when it was loaded, so only a new process helps
        os.execv(sys.executable, [sys.executable, *sys.argv])
    quiet()
    log = workload.toy() if options.toy else workload.ml_1m(options.data_dir)
    bench = Bench(log, options.data_dir, options.repeats, options.toy)
    machine = environment()
    print(f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_at_start']:.2f}; {machine['when']}")
    print(f"OPENBLAS_CORETYPE {machine['variables']['OPENBLAS_CORETYPE'] or 'not set'}; {machine['thread_pools']}")
    print(f"{log.name}: {log.n_users:,} x {log.n_items:,}, train {log.train.nnz:,}, test {log.test.nnz:,}")
    rows = []
    try:
        for name in works:
            for row in WORKS[name](bench):
                print(row, flush=True)
                rows.append(asdict(row))
    finally:  # what was measured before an error stays measured
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("a") as file:
            file.write(json.dumps({**machine, "data": log.name, "rows": rows}) + "\n")


if __name__ == "__main__":
    main()
