"""Numbers for people to look at: a log's key figures, and what models recommend from it. report/ draws them."""

from matinee.explore.analysis import Analysis, analyse
from matinee.explore.log import key_figures
from matinee.explore.pairs import overlap
from matinee.explore.recommended import activity_groups, list_figures
from matinee.explore.samples import user_samples

__all__ = ["Analysis", "activity_groups", "analyse", "key_figures", "list_figures", "overlap", "user_samples"]
