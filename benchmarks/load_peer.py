"""implicit's ALS behind the plainest FastAPI application: what `load.py --peer` measures beside ours.

It needs implicit, scipy, fastapi and uvicorn, and nothing of Matinee.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI
from implicit.als import AlternatingLeastSquares
from pydantic import BaseModel
from scipy.sparse import csr_matrix


class Ask(BaseModel):
    user: int
    k: int = 10


def application(path: str) -> FastAPI:
    with np.load(path) as arrays:
        user, item, ids = arrays["user"], arrays["item"], arrays["ids"]
    codes = {int(external): code for code, external in enumerate(ids)}
    watched = csr_matrix((np.ones(len(user), np.float32), (user, item)))
    model = AlternatingLeastSquares(factors=64, random_state=0)
    model.fit(watched, show_progress=False)
    app = FastAPI()

    @app.post("/v1/recommend")
    def recommend(ask: Ask) -> Any:
        code = codes[ask.user]
        items, scores = model.recommend(code, watched[code], N=ask.k)
        return {"items": items.tolist(), "scores": scores.tolist()}

    @app.get("/ready")
    def ready() -> Any:
        return {}

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("pairs")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    uvicorn.run(application(given.pairs), host="127.0.0.1", port=given.port, access_log=False, log_level="warning")
