"""Ranking metrics of every query at once, and the named conventions under which other libraries compute them.

One pass over the lists, `find_hits`, comes first; each metric is then a few lines of numpy on its result. For a query,
`hit[r]` is true where rank r (from 1 in the formulas) has a relevant item, |rel| is the number of its relevant items. A
value is NaN where |rel| = 0: such queries have no answer and are left out of averages. METRICS is the one table of
metrics of lists: those of what lists are like (lists.py) are in it too, and ask `Hits.known` beside the hits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ragged
from matinee.errors import MatineeError, suggestion
from matinee.evaluate.hits import Hits as Hits
from matinee.evaluate.hits import Values as Values
from matinee.evaluate.hits import find_hits as find_hits
from matinee.evaluate.hits import refuse_kind
from matinee.evaluate.known import Known
from matinee.evaluate.lists import OF_LISTS, OF_MODELS, check_option

Compute = Callable[[Hits, int], Values]
ComputeOfModel = Callable[[Hits, int], float]
SHOWN_AT_ONCE = 10  # items between two clicks


def recall(hits: Hits, k: int) -> Values:
    """float64 (B,): hits@k / |rel|. As trec_eval's recall_k, RecBole, RecTools. Cannot reach 1 where |rel| > k."""
    return _divide(hits.count(k), hits.relevant)


def recall_capped(hits: Hits, k: int) -> Values:
    """float64 (B,): hits@k / min(k, |rel|), the contests' "Recall@k" (Liang et al., WWW 2018, section 4.2)."""
    return _divide(hits.count(k), np.minimum(k, hits.relevant))


def hit_rate(hits: Hits, k: int) -> Values:
    """float64 (B,): 1 if any of the first k is relevant, else 0 (Deshpande and Karypis, TOIS 2004). As trec_eval's
    success_k."""
    return _where_relevant(hits, np.asarray(hits.hit[:, :k].any(axis=1)))


def precision(hits: Hits, k: int) -> Values:
    """float64 (B,): hits@k / k, also where the list is shorter than k. As trec_eval's P_k."""
    return _where_relevant(hits, hits.count(k) / k)


def ndcg(hits: Hits, k: int) -> Values:
    """float64 (B,): DCG@k / ideal DCG. DCG is the sum of hit[r] / log2(r + 1) over r <= k; the ideal has min(k, |rel|)
    hits first.

    Järvelin and Kekäläinen, TOIS 2002, with the discount log2(r + 1) and gain 1. As trec_eval's ndcg_cut_k.
    """
    return _dcg(hits, k, _discount(k)) / _ideal(_discount(k))[np.minimum(k, hits.relevant)]


def recall_ndcg(hits: Hits, k: int) -> Values:
    """float64 (B,): .75 recall@k + .25 ndcg@k, as weighted in content contests. Cannot reach 1 where |rel| > k."""
    return 0.75 * recall(hits, k) + 0.25 * ndcg(hits, k)


def mrr(hits: Hits, k: int) -> Values:
    """float64 (B,): 1 / rank of the first relevant item among the first k, 0 if none is (Voorhees, TREC-8, 1999)."""
    first = hits.hit[:, :k].argmax(axis=1)
    return _where_relevant(hits, hits.hit[np.arange(len(first)), first] / (first + 1))


def average_precision(hits: Hits, k: int) -> Values:
    """float64 (B,): the sum over the hits at r <= k of precision@r, divided by min(k, |rel|). As RecBole and implicit
    (there "map")."""
    return _divide(_precision_sum(hits, k), np.minimum(k, hits.relevant))


def disliked(hits: Hits, k: int) -> Values:
    """float64 (B,): items that the user dislikes among the first k, over k, also where the list is shorter. Less is
    better. Raises MatineeError where no dislikes are known."""
    if hits.disliked is None:
        hint = "say which events are dislikes when the log is read, or measure something else"
        raise MatineeError("no dislikes are known, so none can be counted", hint=hint)
    return _where_relevant(hits, np.count_nonzero(hits.disliked[:, :k], axis=1) / k)


def r_precision(hits: Hits, k: int) -> Values:
    """float64 (B,): hits@|rel| / |rel|, of the first k where |rel| > k. As trec_eval's Rprec where k is large; with a
    credit for artists see `r_precision_credit`."""
    return _divide(hits.first(k).sum(axis=1), hits.relevant)


def ndcg_challenge(hits: Hits, k: int) -> Values:
    """float64 (B,): ndcg@k of the RecSys Challenge 2018 (its k is 500): DCG = hit[1] + the sum over r >= 2 of hit[r] /
    log2(r), so ranks 1 and 2 weigh the same; the ideal has min(k, |rel|) hits first."""
    return _ndcg_clipped_ranks(hits, k)


def clicks(hits: Hits, k: int) -> Values:
    """float64 (B,): of lists shown ten at a time, how often one asks for the next ten before a relevant item is there:
    floor((rank of the first hit - 1) / 10), and floor(k / 10) + 1 where none of the first k is relevant. Less is
    better. RecSys Challenge 2018, where k is 500 and a miss counts 51."""
    found = hits.hit[:, :k]
    first = np.where(found.any(axis=1), found.argmax(axis=1) // SHOWN_AT_ONCE, k // SHOWN_AT_ONCE + 1)
    return _where_relevant(hits, first.astype(np.float64))


OF_HITS: Mapping[str, Compute] = {
    "recall": recall,
    "recall_capped": recall_capped,
    "hit_rate": hit_rate,
    "precision": precision,
    "ndcg": ndcg,
    "recall_ndcg": recall_ndcg,
    "mrr": mrr,
    "map": average_precision,
    "disliked": disliked,
    "r_precision": r_precision,
    "ndcg_challenge": ndcg_challenge,
    "clicks": clicks,
}
"""Those that ask the hits alone: early stopping and the tuning of ensembles know them too."""
METRICS: Mapping[str, Compute] = {**OF_HITS, **OF_LISTS}
"""Every metric with a value a query. OF_MODELS (lists.py) has the few with a value a model."""


def _map_uncapped(hits: Hits, k: int) -> Values:
    """float64 (B,): the sum of precision@r over the hits at r <= k, divided by |rel|, also where |rel| > k."""
    return _divide(_precision_sum(hits, k), hits.relevant)


def _ndcg_fixed_ideal(hits: Hits, k: int) -> Values:
    """float64 (B,): the ideal has k relevant items, however few there are: a user with one answer cannot reach 1."""
    return _where_relevant(hits, _dcg(hits, k, _discount(k)) / _discount(k).sum())


def _ndcg_clipped_ranks(hits: Hits, k: int) -> Values:
    """float64 (B,): with the discount of the 2002 paper, 1 / log2(max(r, 2)): ranks 1 and 2 weigh the same."""
    discount = 1 / np.log2(np.maximum(np.arange(1, k + 1), 2))
    return _dcg(hits, k, discount) / _ideal(discount)[np.minimum(k, hits.relevant)]


def _ndcg_of_found(hits: Hits, k: int) -> Values:
    """float64 (B,): the ideal has only the hits: one hit at rank 1 scores 1, whatever was missed. 0 without hits."""
    ideal = _ideal(_discount(k))[hits.count(k)]
    return _where_relevant(hits, _dcg(hits, k, _discount(k)) / np.where(np.isnan(ideal), 1, ideal))


def _ndcg_uncut_ideal(hits: Hits, k: int) -> Values:
    """float64 (B,): the ideal has all relevant items, also past rank k: it cannot reach 1 where |rel| > k. The discount
    is 1 / ln(r + 1); the base of the logarithm cancels."""
    longest = max(k, int(hits.relevant.max(initial=0)))
    discount = 1 / np.log(np.arange(2, longest + 2))
    return _dcg(hits, k, discount[:k]) / _ideal(discount)[hits.relevant]


def _map_of_found(hits: Hits, k: int) -> Values:
    """float64 (B,): the sum of precision@r over the hits, divided by their number and not by |rel|. 0 without hits."""
    return _where_relevant(hits, _precision_sum(hits, k) / np.maximum(hits.count(k), 1))


def _precision_of_listed(hits: Hits, k: int) -> Values:
    """float64 (B,): hits@k / min(k, length of the list); NaN for an empty list."""
    return _where_relevant(hits, _divide(hits.count(k), np.minimum(k, hits.listed)))


def _map_of_listed(hits: Hits, k: int) -> Values:
    """float64 (B,): average precision divided by min(k, |rel|, length of the list); NaN for an empty list."""
    return _divide(_precision_sum(hits, k), np.minimum(np.minimum(k, hits.listed), hits.relevant))


def _cap(hits: Hits, k: int) -> Values:
    """float64 (B,): min(k, |rel|)."""
    return np.minimum(k, hits.relevant).astype(np.float64)


@dataclass(frozen=True)
class Convention:
    """One library's definitions. metrics: name -> formula. source: its place in the library. weights: name -> weight of
    a query, where the library's number is not the plain mean over queries."""

    metrics: Mapping[str, Compute]
    source: str
    weights: Mapping[str, Compute]


def _convention(
    source: str, names: str, weights: Mapping[str, Compute] | None = None, **changed: Compute
) -> Convention:
    """Our own formulas under `names`, and the changed ones."""
    return Convention({name: METRICS[name] for name in names.split()} | changed, source, weights or {})


CONVENTIONS: Mapping[str, Convention] = {
    "matinee": Convention(METRICS, "the definitions above", {}),
    "trec": _convention(
        "trec_eval 9: m_P.c, m_recall.c, m_success.c, m_recip_rank.c, m_ndcg_cut.c, m_map_cut.c",
        "recall hit_rate precision ndcg mrr",
        map=_map_uncapped,
    ),
    "rectools": _convention(
        "RecTools 0.19: rectools/metrics/classification.py, ranking.py, defaults",
        "recall hit_rate precision mrr",
        ndcg=_ndcg_fixed_ideal,
        map=_map_uncapped,
    ),
    "implicit": _convention(
        "implicit 0.7: implicit/evaluation.pyx, ranking_metrics_at_k",
        "ndcg map",
        weights={"precision": _cap},
        precision=recall_capped,
    ),
    "lenskit": _convention(
        "LensKit 2025: lenskit/metrics/ranking/_pr.py, _dcg.py, _map.py, _weighting.py, defaults",
        "hit_rate mrr",
        recall=recall_capped,
        precision=_precision_of_listed,
        ndcg=_ndcg_clipped_ranks,
        map=_map_of_listed,
    ),
    "recbole": _convention("RecBole 1.2: recbole/evaluator/metrics.py", "recall hit_rate precision ndcg mrr map"),
    "librecommender": _convention(
        "LibRecommender 1: libreco/evaluation/metrics.py", "recall precision", ndcg=_ndcg_of_found, map=_map_of_found
    ),
    "autoint_study": _convention(
        "the AutoInt+ study of MovieLens 1M, label = rating >= 4, each user's own test rows ranked, k = 10",
        "",
        ndcg=_ndcg_uncut_ideal,
        hit_rate=recall,
    ),
}
"""Other libraries' definitions, to compare with numbers they printed; never the default.

| convention     | recall             | precision             | ndcg: discount, ideal of   | map: divided by     |
|----------------|--------------------|-----------------------|----------------------------|---------------------|
| matinee        | hits / rel         | hits / k              | log2(r + 1), min(k, rel)   | min(k, rel)         |
| trec           | hits / rel         | hits / k              | log2(r + 1), min(k, rel)   | rel                 |
| rectools       | hits / rel         | hits / k              | log2(r + 1), k             | rel                 |
| implicit       | -                  | pooled (below)        | log2(r + 1), min(k, rel)   | min(k, rel)         |
| lenskit        | hits / min(k, rel) | hits / min(k, listed) | log2(max(r, 2)), min(k, rel) | min(k, rel, listed) |
| recbole        | hits / rel         | hits / k              | log2(r + 1), min(k, rel)   | min(k, rel)         |
| librecommender | hits / rel         | hits / k              | log2(r + 1), hits found    | hits found          |
| autoint_study  | -                  | -                     | ln(r + 1), rel             | -                   |

rel: relevant items; listed: length of the list. implicit's precision is the sum of hits over the sum of min(k, rel),
both over all queries: a mean of recall_capped in which a query weighs min(k, rel).
hit_rate and mrr are equal in all libraries that have them, except in the AutoInt+ study, whose hit rate is recall;
recall_capped has this name only here. trec_eval's recip_rank has no cut-off: its number equals ours when its lists end
at k.
"""


def convention_of(name: str) -> Convention:
    """Raises MatineeError naming near misses."""
    return CONVENTIONS[known_name(name, "metric convention", list(CONVENTIONS))]


def names(convention: str = "matinee") -> list[str]:
    """The ranking metrics of a convention."""
    return list(convention_of(convention).metrics)


def ranking(
    item: NDArray[np.integer[Any]],
    truth: Ragged,
    *,
    k: int | Sequence[int] = (10, 20),
    metrics: Sequence[str] = ("recall", "ndcg", "hit_rate", "mrr"),
    convention: str = "matinee",
    dislikes: Ragged | None = None,
    known: Known | None = None,
) -> dict[tuple[str, int], Values]:
    """(metric, k) -> float64 (B,), NaN where a query has no relevant item. item: (B, K) codes, -1 = padding. known: for
    the metrics of what lists are like."""
    formulas = formulas_of(metrics, convention)
    cuts = cut_offs(k)
    hits = find_hits(item, truth, k=max(cuts), dislikes=dislikes, known=known)
    return {(name, cut): compute(hits, cut) for name, compute in formulas.items() for cut in cuts}


def cut_offs(k: int | Sequence[int]) -> tuple[int, ...]:
    """One cut-off or several, each once. Raises MatineeError for one that is no whole number from 1."""
    cuts = (k,) if isinstance(k, int | float | str | np.number) else tuple(k)
    if not cuts or not all(isinstance(cut, int | np.integer) and cut >= 1 for cut in cuts):
        raise MatineeError(f"k = {k!r} is not a cut-off", hint="pass a whole number from 1, or several")
    return tuple(int(cut) for cut in dict.fromkeys(cuts))


def formulas_of(metrics: Sequence[str], convention: str) -> dict[str, Compute]:
    """The formulas of those of these metrics that have a value a query. "recall:late" counts the answers of one kind
    alone (`Holdout.kinds`). Raises MatineeError for a name that the convention does not have, and for an option
    ("diversity:directors") of a metric that takes none."""
    known = convention_of(convention).metrics
    of_models = OF_MODELS if convention == "matinee" else {}
    what = "metric" if convention == "matinee" else f"metric of the convention {convention!r}"
    found: dict[str, Compute] = {}
    for name in metrics:
        plain, _, option = name.partition(":")
        if known_name(plain, what, [*known, *of_models]) in known:
            found[name] = partial(OF_LISTS[plain], column=option) if option and plain in OF_LISTS else known[plain]
        if kind := kind_of(name):
            found[name] = partial(_of_kind, kind, known[plain])
        else:
            check_option(name)
    return found


def kind_of(name: str) -> str:
    """The kind of answers that a metric counts alone: "late" of "recall:late"; "" where it counts all."""
    plain, _, kind = name.partition(":")
    return kind if plain in OF_HITS and plain != "disliked" else ""


def refuse_missing_kinds(metrics: Sequence[str], kinds: Mapping[str, Ragged]) -> None:
    """Raise MatineeError where one of the metrics counts a kind of answers that a holdout does not tell apart."""
    for kind in filter(None, map(kind_of, metrics)):
        refuse_kind(kind, kinds)


def weight_of(name: str, convention: str) -> Compute | None:
    """What a query weighs in a metric's mean; None where all weigh the same."""
    plain, kind = name.partition(":")[0], kind_of(name)
    weight = convention_of(convention).weights.get(plain)
    return weight if weight is None or not kind else partial(_of_kind, kind, weight)


def _of_kind(kind: str, compute: Compute, hits: Hits, k: int) -> Values:
    """float64 (B,): a metric of the answers of one kind."""
    return compute(hits.of_kind(kind), k)


def model_formulas_of(metrics: Sequence[str]) -> dict[str, ComputeOfModel]:
    """The formulas of those of these metrics that have one value for all lists of a model."""
    return {name: OF_MODELS[name] for name in metrics if name in OF_MODELS}


def known_name(name: str, what: str, known: Sequence[str]) -> str:
    """The name, if it is known. Raises MatineeError with near misses otherwise."""
    if name not in known:
        raise MatineeError(f"unknown {what} {name!r}", hint=suggestion(name, known))
    return name


def _discount(k: int) -> Values:
    """float64 (k,): 1 / log2(r + 1) for the ranks r = 1..k."""
    return np.asarray(1 / np.log2(np.arange(2, k + 2)), np.float64)


def _ideal(discount: Values) -> Values:
    """float64 (k + 1,): at n the DCG of n hits in front; NaN at 0, where there is no answer."""
    return np.concatenate([[np.nan], np.cumsum(discount)])


def _dcg(hits: Hits, k: int, discount: Values) -> Values:
    """float64 (B,): the sum of the discounts at the hits. A list shorter than k has no hits past its end."""
    seen = hits.hit[:, :k]
    return np.asarray(seen @ discount[: seen.shape[1]], np.float64)


def _precision_sum(hits: Hits, k: int) -> Values:
    """float64 (B,): the sum over the hits at r <= k of precision@r."""
    seen = hits.hit[:, :k]
    at_rank = np.cumsum(seen, axis=1) / np.arange(1, seen.shape[1] + 1)
    return np.asarray(np.sum(at_rank, axis=1, where=seen), np.float64)


def _divide(value: NDArray[Any], by: NDArray[Any]) -> Values:
    """float64 (B,): NaN where the divisor is 0."""
    return value / np.where(by == 0, np.nan, by)


def _where_relevant(hits: Hits, value: NDArray[Any]) -> Values:
    """float64 (B,): NaN where a query has no relevant item."""
    return np.where(hits.relevant > 0, value, np.nan)
