"""Names of models and where their classes are. Lazy strings: naming a model imports nothing until it is made."""

from __future__ import annotations

from importlib.metadata import entry_points

BUILT_IN = {
    "popularity": "matinee.models.popularity:Popularity",
    "item_knn": "matinee.models.item_knn:ItemKNN",
    "user_knn": "matinee.models.user_knn:UserKNN",
    "markov": "matinee.models.markov:Markov",
    "pctm": "matinee.models.pctm:PCTM",
    "ease": "matinee.models.ease:EASE",
    "slim": "matinee.models.slim:SLIM",
    "admm_slim": "matinee.models.admm_slim:AdmmSLIM",
    "content": "matinee.models.content:Content",
    "title_match": "matinee.models.title_match:TitleMatch",
    "svd": "matinee.models.svd:SVD",
    "svd_ae": "matinee.models.svd_ae:SVDAE",
    "ials": "matinee.models.ials:IALS",
    "bpr": "matinee.models.bpr:BPR",
    "biased_mf": "matinee.models.biased_mf:BiasedMF",
    "bayesian_mf": "matinee.models.bayesian_mf:BayesianMF",
    "auto_rec": "matinee.models.auto_rec:AutoRec",
    "dae": "matinee.models.dae:DAE",
    "multi_dae": "matinee.models.multi_dae:MultiDAE",
    "cdae": "matinee.models.cdae:CDAE",
    "multi_vae": "matinee.models.multi_vae:MultiVAE",
    "cvae": "matinee.models.cvae:CVAE",
    "mmcf": "matinee.models.mmcf:MMCF",
    "rec_vae": "matinee.models.rec_vae:RecVAE",
    "gmf": "matinee.models.gmf:GMF",
    "mlp": "matinee.models.mlp:MLP",
    "neumf": "matinee.models.neumf:NeuMF",
    "logistic": "matinee.models.logistic:Logistic",
    "fm": "matinee.models.fm:FM",
    "deepfm": "matinee.models.deepfm:DeepFM",
    "autoint": "matinee.models.autoint:AutoInt",
    "autoint_plus": "matinee.models.autoint_plus:AutoIntPlus",
    "lightgbm": "matinee.models.lightgbm:LightGBM",
    "prod2vec": "matinee.models.prod2vec:Prod2vec",
    "gru4rec": "matinee.models.gru4rec:GRU4Rec",
    "narm": "matinee.models.narm:NARM",
    "stamp": "matinee.models.stamp:STAMP",
    "sasrec": "matinee.models.sasrec:SASRec",
    "bert4rec": "matinee.models.bert4rec:BERT4Rec",
    "cl4srec": "matinee.models.cl4srec:CL4SRec",
    "ensemble": "matinee.models.ensemble:Ensemble",
    "stacking": "matinee.models.stacking:Stacking",
    "rerank": "matinee.models.rerank:Rerank",
    "mmr": "matinee.models.mmr:MMR",
    "calibrated": "matinee.models.calibrated:Calibrated",
    "popularity_discount": "matinee.models.popularity_discount:PopularityDiscount",
}


def locations() -> dict[str, str]:
    """Registry name -> "module:Class": ours, and what other packages declare as entry points of `matinee.models`."""
    others = {point.name: point.value for point in entry_points(group="matinee.models")}
    return {**others, **BUILT_IN}


def registered_name(cls: type) -> str | None:
    """The registry name of a class; None where it has none."""
    location = f"{cls.__module__}:{cls.__name__}"
    known = BUILT_IN if location in BUILT_IN.values() else locations()
    return next((name for name, place in known.items() if place == location), None)
