"""What a log has that a model does not use, said when the model is fitted. model: its class's name."""

from __future__ import annotations

import warnings

from matinee.data.dataset import Dataset
from matinee.errors import MatineeWarning, audience, option


def warn_of_dislikes(data: Dataset, model: str) -> None:
    """Ratings of 0 or less are likes to a model that ignores values; labels 0 and 1 are not meant."""
    if data.value is None or data.labelled or not (n := int((data.value <= 0).sum())):
        return
    text = (
        f"{n:,} of {len(data):,} events of {data.name} are rated 0 or less, and {model} takes every event for a like: "
    )
    above = data.value[data.value > 0]
    if len(above):
        lowest = float(above.min())
        leaves = (
            f"{'filter_events with ' if audience() == 'python' else ''}{option('min_rating', lowest)} leaves them out"
        )
        text += f"{option('dislike_below', lowest)} makes them dislikes where the log is read, {leaves}"
    else:
        text += f"{option('rating', None)} reads no ratings, if these are none"
    warnings.warn(text, MatineeWarning, stacklevel=3)


def warn_of_ignored_weights(data: Dataset, model: str) -> None:
    """The log has weights, and the model counts every event the same."""
    warnings.warn(
        f"{data.name} has weights, and {model} does not use them: to it every event counts the same "
        "(`matinee models show NAME` says which models use weights)",
        MatineeWarning,
        stacklevel=3,
    )


def warn_of_unread_times(data: Dataset, model: str) -> None:
    """A log without times is in the order of its lines, which is no order where times stand in a column nobody read."""
    if data.timestamp is None and data.context is not None:
        columns = ", ".join(map(repr, data.context.columns[:10]))
        warnings.warn(
            f"{data.name} has no timestamps, so {model} takes the order of its lines for that of time; "
            f"if one of its further columns tells the time ({columns}), say so: {option('timestamp', 'NAME')}",
            MatineeWarning,
            stacklevel=3,
        )
