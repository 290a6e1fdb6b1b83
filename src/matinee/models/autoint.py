"""AutoInt: attention between fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matinee import nn
from matinee.data.features.context import ContextFields
from matinee.models.families.pointwise import Pointwise
from matinee.models.fields import tunable

if TYPE_CHECKING:
    from matinee.nn.fields import PairNet


class AutoInt(Pointwise):
    """AutoInt (Song et al., CIKM 2019): fields attend to fields in several layers; a linear layer reads the last.

    Deviation: dropout on the fields' vectors, and none on attention weights. The sum of linear weights that some
    implementations add is left out, as in the paper.
    """

    n_blocks: int = tunable(3, "attention layers", choices=[1, 2, 3, 4], ge=1)
    n_heads: int = tunable(2, "attention heads", choices=[1, 2, 4], ge=1)
    attention: int = tunable(8, "length of a head's vectors", choices=[8, 16, 32], ge=1)
    residual: bool = tunable(True, "add what an attention layer reads, projected, to what it gives")
    dropout: float = tunable(0.2, "dropout of vectors and units", low=0.0, high=0.6, ge=0.0, lt=1.0)
    batch_norm: bool = tunable(False, "AutoInt+: normalise the layers' units over a batch")

    def width(self) -> int:
        return self.dim

    def layer_weights(self) -> float:
        wide = self.attention * self.n_heads
        return (4 if self.residual else 3) * wide * (self.dim + wide * (self.n_blocks - 1)) + 6 * wide

    def numbers_per_pair(self) -> float:
        return super().numbers_per_pair() + 9 * self.attention * self.n_heads * self.n_blocks

    def network(self, vocabulary: ContextFields) -> PairNet:
        return self.beside(vocabulary, ())

    def beside(self, vocabulary: ContextFields, layers: tuple[int, ...]) -> PairNet:
        """The net, with these layers beside the attention."""

        vectors = nn.fields.FieldVectors(vocabulary.n_codes, self.dim, pooling=self.pooling, std=self.init_std)
        widths = [self.dim] + [self.attention * self.n_heads] * (self.n_blocks - 1)
        attention = [
            nn.interactions.FieldAttention(width, self.attention, self.n_heads, residual=self.residual)
            for width in widths
        ]
        request, item = self.numbers_read(vocabulary)
        deep = None
        if layers:
            deep = nn.interactions.PairLayers(request, item, layers, share=self.dropout, batch_norm=self.batch_norm)
        return nn.interactions.AutoIntNet(
            vectors, (request // self.dim, item // self.dim), attention, deep=deep, share=self.dropout
        )
