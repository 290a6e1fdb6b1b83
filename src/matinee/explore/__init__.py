"""Numbers for people to look at: a log's key figures, and what models recommend from it. report/ draws them."""

from matinee.explore.log import Bars, KeyFigures, Levels, Spread, key_figures
from matinee.explore.recommended import ListFigures, activity_groups, list_figures, overlap
from matinee.explore.samples import SampleItem, UserSample, user_samples

__all__ = [
    "Bars",
    "KeyFigures",
    "Levels",
    "ListFigures",
    "SampleItem",
    "Spread",
    "UserSample",
    "activity_groups",
    "key_figures",
    "list_figures",
    "overlap",
    "user_samples",
]
