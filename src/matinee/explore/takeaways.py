"""Sentences made of a log's numbers: what is notable, and what follows for the choice of split and models."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from matinee.errors import audience, counted, either, option, worded_for
from matinee.explore.exploration import Exploration, Takeaway
from matinee.explore.wording import count, duration, listed, percent, span, typed

HEAVY, EVEN = 0.4, 0.2  # share of events on the top tenth of the items
SHORT = 3  # events; leave one out needs as many
NOTABLE = 0.05
MANY = 0.2
OFTEN = 0.1  # share of events that repeat a pair where coming back is usual
MOVES = 0.02  # a difference of shares that counts
ENOUGH = 10  # events of a tenth for each item of the head; drift is noise where there are fewer
MOST_ITEMS = 40_000  # EASE inverts a matrix of items by items: with more it is no model to begin with


def takeaways(log: Exploration) -> tuple[Takeaway, ...]:
    """Those that hold of this log: of the data first, then of time, then of the choice."""
    found = [each for rule in RULES for each in rule(log)]
    return tuple(Takeaway(each.topic, typed(each.found), typed(each.so)) for each in found)


def _popularity(log: Exploration) -> Iterator[Takeaway]:
    p, top = log.popularity, log.figures.top_items
    most = either(top, "The most popular item has", f"The most popular tenth of the items ({top:,}) has")
    found = f"{most} {percent(p.top_10)} of the events; the Gini of popularity is {p.gini:.2f}."
    so = "Measure popularity beside every model, and coverage beside accuracy."
    if p.top_10 >= HEAVY:
        so = "Popularity is a strong baseline: measure it beside every model, and coverage or novelty beside accuracy."
    elif p.top_10 < EVEN:
        so = "Popularity alone will find little here; models must know who likes what."
    yield Takeaway("popularity", found, so)
    if p.once >= MANY:
        found = f"{percent(p.once)} of the items have a single event."
        so = "Models that learn from events alone know nothing of them once it is hidden: use features of items, or "
        yield Takeaway("rare items", found, so + f"leave rare ones out with {option('min_item_events', 5)}.")


def _activity(log: Exploration) -> Iterator[Takeaway]:
    a = log.activity
    middle = span(count(a.lower), count(a.upper))
    found = (
        f"A user has {_events(a.median)} in the median, the middle half has {middle}, the most active {a.largest:,.0f}."
    )
    if a.median < SHORT:
        so = (
            f"Most users have too few for a test of their own (leave one out needs {SHORT}): models that work from one "
        )
        so += "item to the next, and popularity, answer them; personal factors are not learned from so little."
        yield Takeaway("short histories", found, so)
    elif a.smallest >= SHORT + 2:
        found += f" Nobody has fewer than {a.smallest:,.0f}."
        so = "The log seems to be filtered by activity: a number measured here does not tell how a newcomer is served."
        yield Takeaway("activity", found, so)
    else:
        yield Takeaway(
            "activity", found, "Look at the quality by length of history too; a mean hides those with little."
        )


def _events(n: float) -> str:
    """ "65 events", "1 event", "1.5 events"."""
    return f"{count(n)} {'event' if n == 1 else 'events'}"


def _ratings(log: Exploration) -> Iterator[Takeaway]:
    r = log.ratings
    if r is None:
        yield Takeaway("ratings", "There are no ratings.", "Every event is a like: rank, and do not predict ratings.")
    elif r.constant:
        found = f"All ratings are {r.commonest:g}."
        yield Takeaway("ratings", found, "They tell nothing: rank, and do not predict ratings.")
    elif r.binary:
        low, high = r.spread.smallest, r.spread.largest
        found = f"Ratings have two values, {low:g} and {high:g}; {percent(r.share)} are {r.commonest:g}."
        so = "They are labels: predict them (log loss, AUC), or rank with the liked events alone: "
        yield Takeaway("ratings", found, so + f"{option('min_rating', _whole(high))}.")
    else:
        yield _levels(log)


def _levels(log: Exploration) -> Takeaway:
    r = log.ratings
    assert r is not None
    low, high = f"{r.spread.smallest:g}", f"{r.spread.largest:g}"
    found = f"Ratings go from {low} to {high}, {r.spread.mean:.2f} on average; {percent(r.share)} are {r.commonest:g}."
    if r.between is not None:
        found += f" {percent(r.between)} of their variance lies between users."
    if r.share >= 0.5:
        so = "One value is so common that a rating says little: rank, with each event as a like."
    else:
        liked, disliked = option("min_rating", _whole(r.spread.median)), option("dislike_below", _whole(r.spread.lower))
        so = "To predict ratings, use a model with biases of users. To rank, low ratings count as likes too, unless "
        so += f"they are left out ({liked}) or become dislikes ({disliked})."
    return Takeaway("ratings", found, so)


def _whole(rating: float) -> float:
    """4 for 4.0, so that it is written as people write it."""
    return int(rating) if rating.is_integer() else rating


def _repeats(log: Exploration) -> Iterator[Takeaway]:
    r, n = log.repeats, log.figures.n_events
    if not r.extra:
        return
    found = (
        f"{counted(r.extra, 'event')} ({percent(r.extra / n)}) {either(r.extra, 'repeats', 'repeat')} a pair of user "
    )
    found += "and item"
    if r.exact and (log.ratings is not None or log.times is not None):
        found += f", {r.exact:,} of them {either(r.exact, 'an exact copy', 'exact copies')}"
    if r.conflicts:
        found += f"; {counted(r.conflicts, 'pair')} {either(r.conflicts, 'has', 'have')} different ratings"
    if r.extra / n >= OFTEN:
        with worded_for("recipe" if audience() == "command" else audience()):  # splits are made by recipes and Python
            allowed = option("exclude_seen", False)
        so = "People come back to items, so a repeat may be an answer: where it is one, split with "
        so += f"{allowed}, and compare with a model that repeats the history."
    else:
        last = option("duplicates", "last" if r.conflicts else "distinct")
        so = f"Such events are left out of a test's answers: keep one of each pair with {last}."
    yield Takeaway("repeats", f"{found}.", so)


def _order(log: Exploration) -> Iterator[Takeaway]:
    t = log.times
    if t is None:
        so = (
            "Splits in time are impossible, and leave one out goes by the order of the rows: is that the order of time?"
        )
        yield Takeaway("time", "There are no times.", so)
        return
    if t.tied >= NOTABLE:
        found = f"{percent(t.tied)} of a user’s neighbouring events have the same time."
        so = "Their order is that of the file: what a model of sequences learns from it is partly an accident."
        yield Takeaway("order", found, so)
    if t.one_day >= 0.5 and t.span.n:
        found = f"{percent(t.one_day)} of the users were active within 24 hours only."
        so = "Most histories are one sitting: the order of events shows how a list was gone through more than how a "
        yield Takeaway("one sitting", found, so + "taste changed.")


def _future(log: Exploration) -> Iterator[Takeaway]:
    by_name = {each.strategy: each for each in log.splits}
    shares = {name: by_name[name].own_future for name in ("random", "mixed") if name in by_name}
    known = {name: share for name, share in shares.items() if share is not None}
    if known and max(known.values()) >= NOTABLE:
        texts = [f"{percent(share)} under {name}" for name, share in known.items()]
        found = f"Of the hidden events {' and '.join(texts)} are older than a training event of the same user."
        so = "Such a split asks what else somebody liked, with knowledge of the future: it flatters a model meant to "
        so += "predict what comes next. Leave one out knows later events of others only, temporal none."
        yield Takeaway("look-ahead", found, so)


def _unknown(log: Exploration) -> Iterator[Takeaway]:
    drawn = next((each for each in log.splits if each.strategy == "random"), None)
    if drawn is not None and drawn.cold_items >= NOTABLE:
        found = (
            f"Of the events that a random split hides, {percent(drawn.cold_items)} are of items without another event."
        )
        so = "No model that learns from events can find those: the rest is the most that it reaches."
        yield Takeaway("unknown items", found, so)


def _cold(log: Exploration) -> Iterator[Takeaway]:
    cut = next((each for each in log.splits if each.strategy == "temporal"), None)
    if cut is None:
        return
    found = f"At a cut in time, {percent(cut.cold_queries)} of the users who come later have no history, and "
    found += f"{percent(cut.cold_items)} of their events are of items that nobody had before."
    if max(cut.cold_queries, cut.cold_items) < NOTABLE:
        so = "A temporal split is nearly all of known users and items: it is the fairest test of a running service."
    elif cut.cold_queries >= cut.cold_items:
        so = (
            "A temporal test mostly measures what newcomers get: look at known users apart, and have an answer for the "
        )
        so += "others (popularity, or a model that reads features of users)."
    else:
        so = "Models that learn items from events cannot find those: use features of items, and refit often."
    yield Takeaway("cold start", found, so)


def _drift(log: Exploration) -> Iterator[Takeaway]:
    if log.arrivals is None or log.figures.n_events < ENOUGH * log.arrivals.head * len(log.arrivals.periods):
        return
    later = [p for p in log.arrivals.periods if p.kept is not None]
    kept, recent, every = (
        sum(x for p in later if (x := getattr(p, name)) is not None) / len(later)
        for name in ("kept", "recent", "all_time")
    )
    head = log.arrivals.head
    found = f"From one tenth of the log to the next, {percent(kept)} of the {head:,} most popular items stay; what was "
    found += f"popular in the tenth before holds {percent(recent)} of the events, what was popular until then "
    found += f"{percent(every)}."
    if recent > every + MOVES:
        so = "Tastes move: let popularity and histories fade (half_life), and refit often."
    elif kept >= 0.5:
        so = "Popularity is steady: a model need not be refitted often, and a random split is not much easier by it."
    else:
        so = "What is popular changes, and what was so lately says no more than what was so ever: it is no guide."
    yield Takeaway("drift", found, so)


def _age(log: Exploration) -> Iterator[Takeaway]:
    y = log.years
    if y is None or y.age is None or y.fresh is None or y.fresh_last is None:
        return
    dated = int(y.ages.counts.sum()) if y.ages is not None else 0
    if y.before >= NOTABLE * max(dated, 1):
        found = f"{percent(y.before / dated)} of the events come before the year of release."
        so = "The years are not those of a first showing (of a later release, perhaps): look before a model reads them."
        yield Takeaway("release", found, so)
        return
    found = f"{percent(y.fresh)} of the events come in the year of release or the one after, of each user’s last five "
    found += f"{percent(y.fresh_last)}."
    if y.fresh_last > y.fresh + MOVES:
        so = "The last events are of newer items: a test of the last ones hides newer items than a random one."
    elif y.fresh_last < y.fresh - MOVES:
        so = "The last events are of older items: people turn to the back of the catalogue, and newness helps less."
    else:
        so = "New items are asked for as much at the end as before: recency of release is little help."
    yield Takeaway("release", found, so)


def _empty_columns(log: Exploration) -> Iterator[Takeaway]:
    for table in log.tables:
        gaps = [column for column in table.columns if column.missing >= MANY * table.rows]
        if gaps:
            names = ", ".join(f"{column.name} ({percent(column.missing / table.rows)})" for column in gaps)
            found = f"Of the {table.what}, much is missing: {names}."
            yield Takeaway("missing", found, "A model that reads these columns knows nothing of such rows.")


def _choice(log: Exploration) -> Iterator[Takeaway]:
    possible = {each.strategy: each for each in log.splits}
    if not possible:
        so = "Read more events of each user, or hide a whole share of the users (strong)."
        why = "; ".join(dict.fromkeys(log.impossible.values()))
        yield Takeaway("choice", f"No usual split is possible: {why}.", so)
        return
    if log.times is None:
        found = (
            "Without times, split at random (random, by user), or in the order of rows where that is known to be time."
        )
        so = f"Begin with {listed(_models(log))}; models of sequences need an order."
        yield Takeaway("choice", found, so)
        return
    parts = []
    if "leave_one_out" in possible:
        n, of = possible["leave_one_out"].queries, log.figures.n_users
        parts.append(f"leave one out asks what comes next, of {n:,} users ({percent(n / of)})")
    if "temporal" in possible:
        cut = possible["temporal"]
        over = 0 if cut.first is None or cut.last is None else cut.last - cut.first
        parts.append("temporal asks what a running service would be asked" + f", over {duration(over)}" * (over > 0))
    if "mixed" in possible:
        parts.append("mixed and random ask for a taste as a whole")
    if parts:
        found = "; ".join(parts)
        so = f"Begin with {listed(_models(log))}, on one split, then on another."
        yield Takeaway("choice", f"{found[:1].upper()}{found[1:]}.", so)


def _models(log: Exploration) -> list[str]:
    """Where to begin. EASE and SASRec only where they can serve."""
    f, short = log.figures, log.activity.median < SHORT
    models = ["popularity", "item_knn"]
    if f.n_catalogue <= MOST_ITEMS:
        models.append("ease")
    if not short:
        models.append("ials")
        if log.times is not None and log.times.tied < 0.5:
            models.append("sasrec (where the order is that of choosing)")
    return models


RULES: tuple[Callable[[Exploration], Iterator[Takeaway]], ...] = (
    _popularity, _activity, _ratings, _repeats, _empty_columns, _unknown, _order, _future, _cold,
    _drift, _age, _choice,
)  # fmt: skip
