"""Where a net trains."""

import pytest
import torch

from matinee.errors import MatineeError
from matinee.nn.train import chosen_device


def test_auto_is_the_gpu_where_there_is_one() -> None:
    assert chosen_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert chosen_device("cpu").type == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(MatineeError, match="no device 'cuda'"):
        chosen_device("cuda")
