"""What a person looks at: the log's key figures, and what models recommend from it. Numbers only: report/ draws."""

from matinee.explore.log import Bars, KeyFigures, Levels, Spread, key_figures
from matinee.explore.recommended import ListFigures, activity_groups, list_figures, overlap
from matinee.explore.samples import Film, Person, films, people

__all__ = [
    "Bars",
    "Film",
    "KeyFigures",
    "Levels",
    "ListFigures",
    "Person",
    "Spread",
    "activity_groups",
    "films",
    "key_figures",
    "list_figures",
    "overlap",
    "people",
]
