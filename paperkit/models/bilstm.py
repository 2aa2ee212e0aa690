"""Bi-LSTM with attention (paper B §2.2, Fig. 1).

N texts of T words, d = size of the word vectors = hidden size of each direction, K classes.
"""

import torch
from torch import Tensor, nn

from paperkit.errors import InputError
from paperkit.text.vocabulary import PAD

PEEPHOLES = ("none", "paper", "graves")


class PeepholeLSTM(nn.Module):
    """An LSTM whose gates see the cell state; ``(N, T, d)`` in, ``(N, T, d)`` out.

    ``"paper"`` is eqs (1)-(6) to the letter: full matrices W_ci, W_cf, W_co *and* W_cc in eq (3), all applied to the
    previous cell state c_{t−1}, eq (5) included. ``"graves"`` is the usual peephole LSTM: diagonal weights, none in the
    candidate g, and the output gate sees the new c_t. Both loop over time in Python, several times slower than
    ``nn.LSTM``, which has no peepholes and is the default of :class:`BiLSTM`.
    """

    def __init__(self, size: int, kind: str):
        super().__init__()
        if kind not in PEEPHOLES[1:]:
            raise InputError(f"peephole is {kind!r}; accepted are {', '.join(map(repr, PEEPHOLES))}")
        self.kind = kind
        # rows of the stacked matrices in the order i, f, g, o
        self.weight_x = nn.Parameter(torch.empty(4 * size, size))
        self.weight_h = nn.Parameter(torch.empty(4 * size, size))
        self.bias = nn.Parameter(torch.empty(4 * size))
        self.weight_c = nn.Parameter(torch.empty((4 * size, size) if kind == "paper" else (3, size)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in ±d^−½, as ``nn.LSTM``; biases 0."""
        bound = self.weight_x.shape[1] ** -0.5
        for weight in (self.weight_x, self.weight_h, self.weight_c):
            nn.init.uniform_(weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        h = c = x.new_zeros(x.shape[0], x.shape[2])
        from_input = x @ self.weight_x.T + self.bias
        outputs = []
        for t in range(x.shape[1]):
            gates = from_input[:, t] + h @ self.weight_h.T
            if self.kind == "paper":
                i, f, g, o = (gates + c @ self.weight_c.T).chunk(4, dim=-1)
                c = i.sigmoid() * g.tanh() + f.sigmoid() * c  # (1)-(4)
            else:
                i, f, g, o = gates.chunk(4, dim=-1)
                w_ci, w_cf, w_co = self.weight_c
                c = (i + w_ci * c).sigmoid() * g.tanh() + (f + w_cf * c).sigmoid() * c
                o = o + w_co * c
            h = o.sigmoid() * c.tanh()  # (5), (6)
            outputs.append(h)
        return torch.stack(outputs, dim=1), None


def reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """Each text of ``x`` ``(N, T, …)`` back to front within its own length; padding stays at the end."""
    t = torch.arange(x.shape[1], device=x.device)
    position = torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return x.gather(1, position[..., None].expand_as(x))


def last_state(states: Tensor, lengths: Tensor) -> Tensor:
    """The state after the last word of each text, ``(N, T, d)`` to ``(N, d)``; zeros for a text of length 0."""
    last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, states.shape[2])
    return states.gather(1, last).squeeze(1) * (lengths > 0)[:, None]


def masked_attention(H: Tensor, w: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Attention over the words of each text, eqs (8)-(10).

    Args:
        H: hidden states ``(N, T, d)``; what stands beyond a text's length is ignored.
        w: the trained vector ω ``(d,)``.
        lengths: words per text ``(N,)``; a text of length 0 gets weights and representation 0, not NaN.

    Returns:
        r ``(N, d)`` and the weights a ``(N, T)``, which sum to 1 over the words of each text.
    """
    inside = torch.arange(H.shape[1], device=H.device) < lengths[:, None]
    M = torch.tanh(H)  # (8)
    scores = M @ w
    a = scores.masked_fill(~inside, torch.finfo(scores.dtype).min).softmax(dim=-1) * inside  # (9)
    return (a.unsqueeze(1) @ H).squeeze(1), a  # (10)


class BiLSTM(nn.Module):
    """Word vectors, a bidirectional LSTM, attention or the last states, softmax over classes.

    Eq (7): the two directions are *summed*, h_i = forward_i + backward_i, so that everything stays d wide.
    Dropout follows Zhou et al. 2016, the source of the architecture: on word vectors, LSTM output and representation.

    Padding never reaches the LSTM: the backward direction reads each text reversed within its own length, so that
    padding follows the text in both directions and nothing before it depends on it. This equals packed sequences (a
    test says so), which took 3 to 8 times longer on CPUs where we measured both.
    """

    def __init__(
        self,
        vectors: Tensor,
        n_classes: int,
        *,
        attention: bool = True,
        peephole: str = "none",
        dropout: tuple[float, float, float] = (0.3, 0.3, 0.5),
    ):
        """``vectors`` are the initial word vectors ``(V, d)``, trained further; row 0 is padding and stays zero."""
        super().__init__()
        if peephole not in PEEPHOLES:
            raise InputError(f"peephole is {peephole!r}; accepted are {', '.join(map(repr, PEEPHOLES))}")
        size = vectors.shape[1]
        self.embedding = nn.Embedding.from_pretrained(vectors.clone(), freeze=False, padding_idx=PAD)

        def direction() -> nn.Module:
            if peephole == "none":
                return nn.LSTM(size, size, batch_first=True)
            return PeepholeLSTM(size, peephole)

        self.forward_lstm, self.backward_lstm = direction(), direction()
        self.w = nn.Parameter(torch.empty(size)) if attention else None
        self.reset_parameters()
        self.output = nn.Linear(size, n_classes)
        self.embedding_dropout, self.lstm_dropout, self.output_dropout = map(nn.Dropout, dropout)

    def reset_parameters(self) -> None:
        """The attention vector, uniform in ±d^−½; layers reset themselves."""
        if self.w is not None:
            nn.init.uniform_(self.w, -(len(self.w) ** -0.5), len(self.w) ** -0.5)

    def embed(self, ids: Tensor) -> Tensor:
        """Word vectors ``(N, T, d)``."""
        return self.embedding(ids)

    def directions(self, embedded: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """States of both directions ``(N, T, d)``, each in the order in which it reads; eqs (1)-(6)."""
        x = self.embedding_dropout(embedded)
        return self.forward_lstm(x)[0], self.backward_lstm(reverse(x, lengths))[0]

    def encode(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Hidden states H ``(N, T, d)``, eq (7); meaningless beyond each text's length."""
        forward, backward = self.directions(embedded, lengths)
        return self.lstm_dropout(forward + reverse(backward, lengths))

    def represent(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """What is classified ``(N, d)``: h* of eqs (8)-(11), or without attention the sum of the last states."""
        if self.w is not None:
            r, _ = masked_attention(self.encode(embedded, lengths), self.w, lengths)
            return torch.tanh(r)  # (11)
        forward, backward = self.directions(embedded, lengths)
        return self.lstm_dropout(last_state(forward + backward, lengths))

    def classify(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Logits ``(N, K)`` of texts given as word vectors, which is where adversarial perturbations enter."""
        return self.output(self.output_dropout(self.represent(embedded, lengths)))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits ``(N, K)`` of texts given as word numbers ``(N, T)`` with their lengths ``(N,)``."""
        return self.classify(self.embed(ids), lengths)

    @torch.no_grad()
    def attention_weights(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Attention weights ``(N, T)``; use in ``eval()`` mode."""
        return masked_attention(self.encode(self.embed(ids), lengths), self.w, lengths)[1]
