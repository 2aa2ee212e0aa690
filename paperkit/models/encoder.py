"""A transformer encoder with a classifier on top: paper A's Baseline, and with a projection head its ESimCSE model.

N texts of T tokens, d = width of the encoder, K classes.
"""

import torch
from torch import Tensor, nn

from paperkit.errors import InputError
from paperkit.models.backbones import Backbone

POOLING = ("cls", "mean")


def mean_pool(states: Tensor, lengths: Tensor) -> Tensor:
    """Mean over the tokens of each text, ``(N, T, d)`` to ``(N, d)``; what stands beyond a text's length is ignored."""
    inside = torch.arange(states.shape[1], device=states.device) < lengths[:, None]
    return (states * inside[..., None]).sum(dim=1) / lengths.clamp(min=1)[:, None]


class Encoder(nn.Module):
    """Token embeddings, a pretrained encoder, pooling, dropout, softmax over classes (paper A §3, "roberta").

    The paper says nothing of the pooling. ``"cls"`` takes the state of the first token, as BERT and RoBERTa are
    fine-tuned; ``"mean"`` averages over all tokens, which serves encoders that never trained their first token
    (``mini``) or were trained with means (``minilm``).
    """

    def __init__(
        self,
        backbone: Backbone,
        n_classes: int,
        *,
        pooling: str = "mean",
        dropout: float = 0.1,
        attention: str = "eager",
    ):
        """``attention`` is ``"eager"`` (faster on the CPUs we measured) or ``"sdpa"`` (on GPUs)."""
        super().__init__()
        if pooling not in POOLING:
            raise InputError(f"pooling is {pooling!r}; accepted are {', '.join(map(repr, POOLING))}")
        self.pooling = pooling
        self.body = backbone.encoder(attention, dropout)
        size = self.body.config.hidden_size
        self.output = nn.Linear(size, n_classes)
        self.output_dropout = nn.Dropout(dropout)
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.zeros_(self.output.bias)

    def embed(self, ids: Tensor) -> Tensor:
        """Word embeddings ``(N, T, d)``, before positions are added: where adversarial perturbations enter."""
        return self.body.get_input_embeddings()(ids)

    def represent(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """The pooled state of each text ``(N, d)``; padding is masked and changes nothing."""
        inside = torch.arange(embedded.shape[1], device=embedded.device) < lengths[:, None]
        # positions follow from the embeddings' length: padding stands on the right, so they are those of the tokens
        states = self.body(inputs_embeds=embedded, attention_mask=inside.long()).last_hidden_state
        return states[:, 0] if self.pooling == "cls" else mean_pool(states, lengths)

    def classify(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Logits ``(N, K)`` of texts given as word embeddings."""
        return self.output(self.output_dropout(self.represent(embedded, lengths)))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits ``(N, K)`` of texts given as token numbers ``(N, T)`` with their lengths ``(N,)``."""
        return self.classify(self.embed(ids), lengths)


class Projection(nn.Module):
    """The MLP over the [CLS] state through which SimCSE and ESimCSE train, and which they drop at evaluation."""

    def __init__(self, size: int):
        super().__init__()
        self.dense = nn.Linear(size, size)

    def forward(self, pooled: Tensor) -> Tensor:
        """``(N, d)`` to ``(N, d)``."""
        return torch.tanh(self.dense(pooled))
