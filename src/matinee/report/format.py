"""Numbers and names as the report prints them; units after a narrow no-break space."""

from __future__ import annotations

from markupsafe import Markup, escape

from matinee.explore.wording import THIN as THIN
from matinee.explore.wording import count as count
from matinee.explore.wording import date as date
from matinee.explore.wording import duration as duration
from matinee.explore.wording import listed as listed
from matinee.explore.wording import percent as percent
from matinee.explore.wording import span as span
from matinee.explore.wording import tick as tick

METRICS = {
    "recall": "the share of a query’s hidden items that are among the first k recommended",
    "recall_capped": "hits among the first k, divided by the smaller of k and the number of hidden items",
    "hit_rate": "1 if any of the first k is a hidden item, otherwise 0",
    "precision": "the share of the first k that are hidden items",
    "ndcg": "hits among the first k, a hit at rank r counting 1 / log2(r + 1), divided by the best sum that k ranks "
    "could reach for this query",
    "recall_ndcg": ".75 recall@k + .25 ndcg@k, the weighting of content contests",
    "mrr": "1 / rank of the first hit among the first k, 0 without one",
    "map": "the sum, over the hits among the first k, of the precision at their ranks, divided by the smaller of k and "
    "the number of hidden items",
    "disliked": "the share of the first k that the user is known to dislike; lower is better",
    "r_precision": "hits among as many items as are hidden, divided by their number",
    "ndcg_challenge": "ndcg in which a hit at rank r counts 1 / log2(r) from the second rank on, where it counts 1 too",
    "clicks": "how often ten more items are asked for before a hidden one is there; lower is better",
    "r_precision_credit": "r_precision, with a quarter of a hit for each artist (or value of the column named) that "
    "the list shares with the hidden items",
    "recall_debiased": "recall in which a hidden item weighs the more the rarer it is: 1 / √(its training events)",
    "ndcg_debiased": "ndcg with those weights as gains",
    "serendipity": "the share of the first k that are hidden items and not among the k most popular ones",
    "novelty": "mean self-information of the items in bits, −log₂ of the share of users who have an item",
    "mean_popularity": "mean place of the items by training events, from 0, the least, to 1, the most popular",
    "head_share": "the share of the items that are among the most popular, 300 of them unless their number is given",
    "diversity": "1 − cosine of the items’ genres (or of the column named), averaged over pairs of a list",
    "diversity_cooccurrence": "1 − cosine of the items’ users, averaged over pairs of a list",
    "calibration_error": "Kullback-Leibler divergence of the list’s genres (or of the column named) from the "
    "history’s, 0 where they agree; lower is better",
    "coverage": "distinct items in all lists, of all items with a training event; one number a model",
    "gini": "Gini coefficient of how often each item is recommended, 0 where all are equally often; one number a model",
    "rmse": "the root of the mean squared error of predicted ratings; lower is better",
    "mae": "the mean absolute error of predicted ratings; lower is better",
    "bce": "binary cross-entropy of ratings scaled to 0 to 1; lower is better",
    "auc": "the probability that a row labelled 1 is predicted above one labelled 0; equal predictions count half",
    "gauc": "auc within each user, averaged by their rows; users whose rows are of one class are left out",
    "logloss": "minus the mean log-likelihood of the labels; lower is better",
}


def breakable(name: str) -> Markup:
    """With a possible line break after each underscore."""
    return escape(name).replace("_", "_" + Markup("<wbr>"))


def seconds(value: float) -> str:
    if value < 0.1:
        return f"{1000 * value:.0f}{THIN}ms" if value >= 0.0005 else f"under 1{THIN}ms"
    if value < 100:
        return f"{value:.2f}{THIN}s" if value < 10 else f"{value:.1f}{THIN}s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}{THIN}min {rest:02d}{THIN}s"
    return f"{minutes // 60}{THIN}h {minutes % 60:02d}{THIN}min"


def megabytes(value: float) -> str:
    return f"{value:,.0f}{THIN}MB" if value < 10_000 else f"{value / 1000:,.1f}{THIN}GB"


def p_words(p: float) -> str:
    """p < .001, p = .013."""
    return f"p{THIN}<{THIN}.001" if p < 0.001 else f"p{THIN}={THIN}{p:.3f}".replace("0.", ".")
