"""Splits: pure functions of (data, seed) that decide what is hidden, what a model sees, and what it may not recommend.

Every split of a log puts each of its rows in exactly one of train, valid and test (under `strong`, `lists` and
`sessions`, a hidden user's other rows go with that user). Sorting by time is stable: equal timestamps keep the log's
order; a log without timestamps is in the order of its rows. Random choices are drawn along (user, time), so shuffling
rows of distinct times changes nothing. Shares are floored (`shares.py` says how) and valid = 0 means no valid part.

What a query sees:

    random, mixed, temporal   history = train; excluded: train in valid, train + valid in test
    leave_one_out, latest     valid: both are train; test: both are train + valid
    strong                    both are the user's fold-in rows
    lists                     both are what a task shows of the list
    sessions                  both are the session so far
    provided                  as random for files of pairs; as in the file for queries

`exclude_seen=False` (sessions, where repeats are answers) excludes nothing. Otherwise no model can recommend an
excluded item, so a hidden event that repeats an excluded one is no answer: it is dropped from `truth` (it stays in
`pairs`, which has all hidden rows), and `Split.notes` counts such drops. Each distinct item counts once in `truth`.

Dislikes (`Dataset.dislikes`) are no events of a split: those known when a query is asked are excluded too, and those of
later are known to no model (dislikes.py says which). `allowing_dislikes` lets them be recommended.

Only `temporal` sets `Queries.request_time`: to the cut. In the other splits it could only be the hidden event's own
timestamp, which tells a model when the user came back. `predicted_moments` sets it from the history alone: the last
event, and the user's own median interval.

Every hidden row is an answer, and the whole catalogue is ranked. With `labelled` only rows labelled 1 are answers;
`observed`, `sampled` and `new_alone` rank other candidates. All four change a split's holdouts and their protocol.
`write_negatives` writes the file that `sampled` reads. `new_items` takes a share of the items out of training, which
are answers wherever a history held them.
"""

from matinee.split.candidates import RULES, labelled, new_alone, observed, sampled, with_candidates
from matinee.split.dislikes import allowing_dislikes
from matinee.split.lists import lists
from matinee.split.moments import predicted_moments
from matinee.split.negatives import write_negatives
from matinee.split.new_items import new_items
from matinee.split.options import STRATEGIES, check, make
from matinee.split.parts import refitted
from matinee.split.provided import provided
from matinee.split.sessions import sessions
from matinee.split.strategies import folds, latest, leave_one_out, mixed, random, strong, temporal

__all__ = [
    "RULES", "STRATEGIES", "allowing_dislikes", "check", "folds", "labelled", "latest", "leave_one_out",
    "lists", "make", "mixed", "new_alone", "new_items", "observed", "predicted_moments", "provided", "random",
    "refitted", "sampled", "sessions", "strong", "temporal", "with_candidates", "write_negatives",
]  # fmt: skip
