"""Where a net trains."""

from unittest import mock

import pytest
import torch

from matinee.errors import MatineeError
from matinee.nn.train import chosen_device, fastest_precision


def test_auto_is_the_gpu_where_there_is_one() -> None:
    assert chosen_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert chosen_device("cpu").type == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(MatineeError, match="no device 'cuda'"):
        chosen_device("cuda")


@pytest.mark.parametrize("name", ["amx_bf16", "avx512_bf16"])
def test_auto_precision_is_half_where_the_processor_multiplies_it(name: str) -> None:
    with mock.patch.object(torch.cpu, "get_capabilities", return_value={"avx2": True, name: True}):
        assert fastest_precision("cpu") == "bfloat16"


def test_auto_precision_is_whole_elsewhere() -> None:
    with mock.patch.object(torch.cpu, "get_capabilities", return_value={"avx2": True, "avx512_f": True}):
        assert fastest_precision("cpu") == "float32"
