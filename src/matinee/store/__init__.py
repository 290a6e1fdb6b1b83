"""Models on disk: folders of safetensors, Parquet and JSON manifests. Loading executes nothing.

A model folder:

    manifest.json          model, hyper-parameters, learned fields, library version, digest of its log
    weights.safetensors    what the model learned, and item counts
    model.txt              a learned text in a format of its own (LightGBM's trees)
    members/0/, 1/, ...    of a composite model: its members, each a model folder
    log/                   the log it was fitted on; absent where the model refers to a log elsewhere

A log folder:

    manifest.json          name and fingerprints of the log
    items.parquet          ids, titles and features, in code order
    users.parquet          the same of users
    events.safetensors     user and item codes, ratings, timestamps, raw ratings
    context.parquet        further columns of the events

A manifest holds the SHA-256 of the files beside it and of itself; for members, that of their manifests. A model names
its log by the digest of the log's manifest, never by a path. The loader looks for it in `log/` of the model, then in
`logs/FIRST_16_DIGITS/` of the three folders above it, where the models of a run share logs. A member with the log of
the model above it has none of its own.
"""

from matinee.store.folders import MANIFEST
from matinee.store.models import Manifest, export_model, load_model, read_manifest, save_model

__all__ = ["MANIFEST", "Manifest", "export_model", "load_model", "read_manifest", "save_model"]
