"""Numbers and names as the report prints them; units after a narrow no-break space."""

from __future__ import annotations

from datetime import datetime

from markupsafe import Markup, escape

from matinee.data.moments import moment_of

THIN = "\u202f"
DAY = 86_400

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


def count(n: float) -> str:
    """12,345; a fraction below 100 keeps one digit."""
    return f"{n:,.0f}" if float(n).is_integer() or abs(n) >= 100 else f"{n:,.1f}"


def breakable(name: str) -> Markup:
    """With a possible line break after each underscore."""
    return escape(name).replace("_", "_" + Markup("<wbr>"))


def percent(share: float) -> str:
    """Two or three significant digits: 0.042 %, 6.3 %, 43 %; 0 and 100 only where they are exact."""
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f}{THIN}%"
    digits = 0 if 10 <= value < 99.5 else 1 if 1 <= value < 99.95 else 2 if 0.095 <= value < 1 else 3
    return f"{value:.{digits}f}{THIN}%"


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


def date(second: float) -> str:
    """20 Sep 1997 (UTC); seconds beyond the calendar as plain numbers."""
    moment = _moment(second)
    return f"{second:,.0f}" if moment is None else f"{moment.day}\u00a0{_MONTHS[moment.month - 1]}\u00a0{moment.year}"


def tick(second: float, span: float) -> str:
    """A date or time, as precise as an axis of `span` seconds needs."""
    moment = _moment(second)
    if moment is None:
        return f"{second:,.0f}"
    if span < 3 * DAY:
        return f"{moment:%H:%M}"
    month = _MONTHS[moment.month - 1]
    return f"{month} {moment.year}" if span > 120 * DAY else f"{moment.day} {month}"


def duration(span: float) -> str:
    """A span of seconds in its largest fitting unit: 3.2 years, 41 days."""
    for unit, size in (("years", 365.25 * DAY), ("days", DAY), ("hours", 3600), ("minutes", 60)):
        if span >= 2 * size:
            return f"{span / size:.1f} {unit}" if span < 20 * size else f"{span / size:,.0f} {unit}"
    return f"{span:,.0f} seconds"


def span(low: str, high: str) -> str:
    """20–737, on one line."""
    return f"{low}–\u2060{high}"


def listed(words: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


# strftime's %b would follow the reader's locale
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _moment(second: float) -> datetime | None:
    try:
        return moment_of(second)
    except (ValueError, OverflowError, OSError):
        return None
