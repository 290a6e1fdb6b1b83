"""Matinee: from a log of who watched what to recommendations that can be trusted.

    import matinee as mt

    data = mt.load("ml-100k")
    split = mt.split.leave_one_out(data)
    model = mt.models.EASE(l2=300).fit(split.train)
    recs = mt.recommend(model, split.test.queries, k=10)
    print(mt.evaluate(recs, split.test))

Names are imported when first used, so `import matinee` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from matinee.errors import no_attribute
from matinee.version import __version__ as __version__

if TYPE_CHECKING:
    from matinee import models as models
    from matinee import split as split
    from matinee.attributes import recommend_attributes as recommend_attributes
    from matinee.data.dataset import Dataset as Dataset
    from matinee.data.dataset import Queries as Queries
    from matinee.data.dislikes import Dislikes as Dislikes
    from matinee.data.events import EventKinds as EventKinds
    from matinee.data.events import apply_events as apply_events
    from matinee.data.events import with_dislikes as with_dislikes
    from matinee.data.events import with_kinds as with_kinds
    from matinee.data.events import with_weights as with_weights
    from matinee.data.filters import filter_events as filter_events
    from matinee.data.item_vectors import with_item_vectors as with_item_vectors
    from matinee.data.query import history as history
    from matinee.data.query import query as query
    from matinee.data.read.catalog import load as load
    from matinee.data.read.formats import formats as formats
    from matinee.data.read.log import read as read
    from matinee.data.read.options import table as table
    from matinee.data.read.sniff import sniff as sniff
    from matinee.data.read.sniffed import Sniffed as Sniffed
    from matinee.errors import MatineeError as MatineeError
    from matinee.evaluate.evaluate import evaluate as evaluate
    from matinee.evaluate.files import hidden_pairs as hidden_pairs
    from matinee.evaluate.files import read_recommendations as read_recommendations
    from matinee.evaluate.off_policy import OffPolicy as OffPolicy
    from matinee.evaluate.off_policy import off_policy as off_policy
    from matinee.explain import reasons as reasons
    from matinee.explore.analysis import analyse as analyse
    from matinee.explore.cold_start import cold_start as cold_start
    from matinee.explore.exploring import explore as explore
    from matinee.explore.front import front as front
    from matinee.models.fits import fits_here as fits_here
    from matinee.models.hyper_parameters import describe as describe
    from matinee.models.hyper_parameters import learned_arrays as learned_arrays
    from matinee.models.pool import member_contributions as member_contributions
    from matinee.models.pool import select_members as select_members
    from matinee.rank import recommend as recommend
    from matinee.rank import similar_items as similar_items
    from matinee.rules import Boost as Boost
    from matinee.rules import Pin as Pin
    from matinee.rules import Quota as Quota
    from matinee.rules import Rules as Rules
    from matinee.search import TitleIndex as TitleIndex
    from matinee.serve.app import create_app as create_app
    from matinee.serve.client import Client as Client
    from matinee.serve.events.export import export_events as export_events
    from matinee.serve.events.refit import refit as refit
    from matinee.serve.events.replay import evaluate_log as evaluate_log
    from matinee.similar import similar_users as similar_users
    from matinee.store import export_model as export_model
    from matinee.store import load_model as load_model
    from matinee.store import save_model as save_model
    from matinee.study.compare import compare as compare
    from matinee.study.compare import power as power
    from matinee.study.founding.catalogue import founding_studies as founding_studies
    from matinee.study.founding.running import founding_study as founding_study
    from matinee.study.fronts import fronts as fronts
    from matinee.study.gate import gate as gate
    from matinee.study.history import score_history as score_history
    from matinee.study.init import init_recipe as init_recipe
    from matinee.study.reader import open_run as open_run
    from matinee.study.recipe import load_recipe as load_recipe
    from matinee.study.run import run_study as run_study
    from matinee.study.tune import tune as tune
    from matinee.study.tuning.reader import open_tuning as open_tuning
    from matinee.submissions import check_submission as check_submission
    from matinee.submissions import submission as submission
    from matinee.submissions import write_submission as write_submission
    from matinee.vectors import write_vectors as write_vectors

# module -> the public names that it defines; those of the first are modules of their own
_HOMES = {
    "matinee": ["models", "split"],
    "matinee.attributes": ["recommend_attributes"],
    "matinee.data.dataset": ["Dataset", "Queries"],
    "matinee.data.dislikes": ["Dislikes"],
    "matinee.data.events": ["EventKinds", "apply_events", "with_dislikes", "with_kinds", "with_weights"],
    "matinee.data.filters": ["filter_events"],
    "matinee.data.item_vectors": ["with_item_vectors"],
    "matinee.data.query": ["history", "query"],
    "matinee.data.read.catalog": ["load"],
    "matinee.data.read.formats": ["formats"],
    "matinee.data.read.log": ["read"],
    "matinee.data.read.options": ["table"],
    "matinee.data.read.sniff": ["sniff"],
    "matinee.data.read.sniffed": ["Sniffed"],
    "matinee.errors": ["MatineeError"],
    "matinee.evaluate": ["evaluate"],
    "matinee.evaluate.files": ["hidden_pairs", "read_recommendations"],
    "matinee.evaluate.off_policy": ["OffPolicy", "off_policy"],
    "matinee.explain": ["reasons"],
    "matinee.explore": ["explore"],
    "matinee.explore.analysis": ["analyse"],
    "matinee.explore.cold_start": ["cold_start"],
    "matinee.explore.front": ["front"],
    "matinee.models.fits": ["fits_here"],
    "matinee.models.hyper_parameters": ["describe", "learned_arrays"],
    "matinee.models.pool": ["member_contributions", "select_members"],
    "matinee.rank": ["recommend", "similar_items"],
    "matinee.rules": ["Boost", "Pin", "Quota", "Rules"],
    "matinee.search": ["TitleIndex"],
    "matinee.serve.app": ["create_app"],
    "matinee.serve.client": ["Client"],
    "matinee.serve.events.export": ["export_events"],
    "matinee.serve.events.refit": ["refit"],
    "matinee.serve.events.replay": ["evaluate_log"],
    "matinee.similar": ["similar_users"],
    "matinee.store": ["export_model", "load_model", "save_model"],
    "matinee.study.compare": ["compare", "power"],
    "matinee.study.founding.catalogue": ["founding_studies"],
    "matinee.study.founding.running": ["founding_study"],
    "matinee.study.fronts": ["fronts"],
    "matinee.study.gate": ["gate"],
    "matinee.study.history": ["score_history"],
    "matinee.study.init": ["init_recipe"],
    "matinee.study.reader": ["open_run"],
    "matinee.study.recipe": ["load_recipe"],
    "matinee.study.run": ["run_study"],
    "matinee.study.tune": ["tune"],
    "matinee.study.tuning.reader": ["open_tuning"],
    "matinee.submissions": ["check_submission", "submission", "write_submission"],
    "matinee.vectors": ["write_vectors"],
}
_PUBLIC = {name: home for home, names in _HOMES.items() for name in names}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise no_attribute(__name__, name, __all__)
    home = _PUBLIC[name]
    value = import_module(f"{home}.{name}" if home == __name__ else home)
    globals()[name] = value if home == __name__ else getattr(value, name)
    return globals()[name]


def __dir__() -> list[str]:
    return __all__
