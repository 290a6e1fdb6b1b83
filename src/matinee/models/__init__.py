"""Every model under its class name, imported when first asked for: `matinee.models.EASE`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from matinee.errors import no_attribute
from matinee.models.names import BUILT_IN

if TYPE_CHECKING:
    from matinee.models.admm_slim import AdmmSLIM as AdmmSLIM
    from matinee.models.auto_rec import AutoRec as AutoRec
    from matinee.models.bayesian_mf import BayesianMF as BayesianMF
    from matinee.models.bert4rec import BERT4Rec as BERT4Rec
    from matinee.models.biased_mf import BiasedMF as BiasedMF
    from matinee.models.bpr import BPR as BPR
    from matinee.models.calibrated import Calibrated as Calibrated
    from matinee.models.cdae import CDAE as CDAE
    from matinee.models.cl4srec import CL4SRec as CL4SRec
    from matinee.models.content import Content as Content
    from matinee.models.cvae import CVAE as CVAE
    from matinee.models.dae import DAE as DAE
    from matinee.models.ease import EASE as EASE
    from matinee.models.ensemble import Ensemble as Ensemble
    from matinee.models.gru4rec import GRU4Rec as GRU4Rec
    from matinee.models.ials import IALS as IALS
    from matinee.models.item_knn import ItemKNN as ItemKNN
    from matinee.models.markov import Markov as Markov
    from matinee.models.mmr import MMR as MMR
    from matinee.models.multi_dae import MultiDAE as MultiDAE
    from matinee.models.multi_vae import MultiVAE as MultiVAE
    from matinee.models.narm import NARM as NARM
    from matinee.models.pctm import PCTM as PCTM
    from matinee.models.popularity import Popularity as Popularity
    from matinee.models.popularity_discount import PopularityDiscount as PopularityDiscount
    from matinee.models.prod2vec import Prod2vec as Prod2vec
    from matinee.models.rec_vae import RecVAE as RecVAE
    from matinee.models.sasrec import SASRec as SASRec
    from matinee.models.slim import SLIM as SLIM
    from matinee.models.stamp import STAMP as STAMP
    from matinee.models.svd import SVD as SVD
    from matinee.models.svd_ae import SVDAE as SVDAE
    from matinee.models.title_match import TitleMatch as TitleMatch
    from matinee.models.user_knn import UserKNN as UserKNN


def __getattr__(name: str) -> Any:
    for location in BUILT_IN.values():
        module, _, attribute = location.partition(":")
        if attribute == name:
            return getattr(import_module(module), attribute)
    raise no_attribute(__name__, name, __dir__())


def __dir__() -> list[str]:
    return sorted(location.partition(":")[2] for location in BUILT_IN.values())
