"""What the torch models share: the training loop, losses, blocks. Nothing here knows a model."""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")
"""How long torch's threads on Linux turn in place after each operation, waiting for the next; read when torch is first
imported. By default it is milliseconds, which they take from the compiled kernels' threads: on two cores an epoch of
AutoInt+ falls from 18 s to 14 s by this, one of SASRec, which has no such kernels, from 14 s to 11.5 s."""

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
"""How many compiled products oneDNN keeps, which makes torch's in bfloat16; read when torch is first imported. Batches
of histories have ever new sizes, so that its own 1,024 grow by a gigabyte over a training."""
