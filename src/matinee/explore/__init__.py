"""Numbers for people to look at: what a log holds, and what models recommend from it. report/ draws them.

Example: `mt.explore(data).to_html("explore.html")`
"""

import sys
from types import ModuleType

from matinee.explore.analysis import Analysis, analyse
from matinee.explore.exploration import Exploration, Explorations, Takeaway
from matinee.explore.exploring import explore
from matinee.explore.log import key_figures
from matinee.explore.pairs import overlap
from matinee.explore.recommended import activity_groups, list_figures
from matinee.explore.samples import user_samples

__all__ = [
    "Analysis", "Exploration", "Explorations", "Takeaway", "activity_groups", "analyse", "explore", "key_figures",
    "list_figures", "overlap", "user_samples",
]  # fmt: skip


class _Package(ModuleType):
    """`mt.explore(...)` and this package share a name, and importing any part of the package puts the package there:
    so calling the package explores."""

    __call__ = staticmethod(explore)


sys.modules[__name__].__class__ = _Package
