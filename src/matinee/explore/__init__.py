"""Numbers for people to look at: what a log holds, and what models recommend from it. report/ draws them.

Example: `mt.explore(data).to_html("explore.html")`
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from matinee.errors import no_attribute

if TYPE_CHECKING:
    from matinee.explore.analysis import Analysis as Analysis
    from matinee.explore.analysis import analyse as analyse
    from matinee.explore.exploration import Exploration as Exploration
    from matinee.explore.exploration import Explorations as Explorations
    from matinee.explore.exploration import Takeaway as Takeaway
    from matinee.explore.exploring import explore as explore
    from matinee.explore.log import key_figures as key_figures
    from matinee.explore.pairs import overlap as overlap
    from matinee.explore.recommended import activity_groups as activity_groups
    from matinee.explore.recommended import list_figures as list_figures
    from matinee.explore.samples import user_samples as user_samples

# name -> module: imported when used, because most commands need the key figures alone
_HOMES = {
    **dict.fromkeys(("Exploration", "Explorations", "Takeaway"), "exploration"),
    **{"explore": "exploring", "key_figures": "log", "user_samples": "samples"},
    **dict.fromkeys(("activity_groups", "list_figures"), "recommended"),
    **dict.fromkeys(("Analysis", "analyse"), "analysis"),
    "overlap": "pairs",
}
__all__ = list(_HOMES)


class _Package(ModuleType):
    """`mt.explore(...)` and this package share a name, and importing any part of the package puts the package there:
    so calling the package explores."""

    def __call__(self, *logs: Any, **options: Any) -> Any:
        return self.explore(*logs, **options)

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise no_attribute(__name__, name, __all__)
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


sys.modules[__name__].__class__ = _Package
