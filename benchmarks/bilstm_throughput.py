"""Training speed of Bi-LSTM-Att on one thread, as a ratio to a plain loop in the same run.

    PAPERKIT_DATA=... python benchmarks/bilstm_throughput.py [epochs]     # ctrip-hotels; without the data: embedded reviews

Plain: every text padded or cut to 169 words (what the paper describes), batches in random order, one bidirectional
``nn.LSTM``, attention over all positions. Ours: batches of about equal length, padding kept out of LSTM and attention.
Same vectors, optimizer, schedule, seed. The two take turns, epoch by epoch, so a machine whose speed drifts is fair to
both.
"""

import sys
import time

import numpy as np
import torch
from torch import nn

from paperkit import corpora
from paperkit.errors import InputError
from paperkit.losses import focal
from paperkit.models.bilstm import BiLSTM
from paperkit.seeds import numpy_generator
from paperkit.store import Store
from paperkit.text.batches import evaluation_batches, training_batches
from paperkit.text.prepare import TextOptions, prepare
from paperkit.training.loop import rate_factor
from paperkit.training.methods import Schedule

LENGTH = 169


class Plain(nn.Module):
    """The textbook form: one bidirectional LSTM over 169 positions, padding included."""

    def __init__(self, vectors: torch.Tensor, n_classes: int, dropout: tuple[float, float, float]):
        super().__init__()
        size = vectors.shape[1]
        self.embedding = nn.Embedding.from_pretrained(vectors.clone(), freeze=False, padding_idx=0)
        self.lstm = nn.LSTM(size, size, batch_first=True, bidirectional=True)
        self.w = nn.Parameter(torch.empty(size).uniform_(-(size**-0.5), size**-0.5))
        self.output = nn.Linear(size, n_classes)
        self.dropouts = nn.ModuleList(map(nn.Dropout, dropout))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        states = self.lstm(self.dropouts[0](self.embedding(ids)))[0]
        H = self.dropouts[1](sum(states.chunk(2, dim=-1)))
        a = (torch.tanh(H) @ self.w).softmax(dim=-1)
        return self.output(self.dropouts[2](torch.tanh((a.unsqueeze(1) @ H).squeeze(1))))


def main(epochs: int) -> None:
    torch.set_num_threads(1)
    try:
        corpus = corpora.load("ctrip-hotels")
    except InputError as error:
        print(f"{error}; the embedded reviews instead")
        corpus = corpora.load("reviews", size=6000)
    platform = corpus.platforms[0]
    prepared = prepare(corpus, platform, TextOptions(max_length=LENGTH), Store.default())
    texts, labels = prepared.texts, torch.tensor(corpus.table.label.to_numpy())
    train, test = (prepared.usable(corpus.rows(s, platform).index.to_numpy()) for s in ("train", "test"))
    padded = np.zeros((len(texts), LENGTH), dtype=np.int64)
    for row in range(len(texts)):
        padded[row, : texts.lengths[row]] = texts[row]
    padded = torch.from_numpy(padded)
    schedule = Schedule(epochs=epochs)
    vectors = torch.from_numpy(prepared.vectors)

    def plain_batches(epoch: int):
        shuffled = numpy_generator(0, "plain order", epoch).permutation(train)
        for rows in torch.from_numpy(shuffled).split(schedule.batch_size):
            yield rows, (padded[rows],)

    def bucketed_batches(epoch: int):
        for batch in training_batches(texts, train, schedule.batch_size, 0, epoch):
            yield batch.rows, (batch.ids, batch.lengths)

    def plain_accuracy(model: nn.Module) -> float:
        rows = torch.from_numpy(test)
        right = [model(padded[part]).argmax(dim=1) == labels[part] for part in rows.split(256)]
        return torch.cat(right).double().mean().item()

    def bucketed_accuracy(model: nn.Module) -> float:
        right = [model(b.ids, b.lengths).argmax(dim=1) == labels[b.rows] for b in evaluation_batches(texts, test)]
        return torch.cat(right).double().mean().item()

    torch.manual_seed(0)
    contenders = {}
    for name, model, batches, accuracy in (
        ("plain", Plain(vectors, corpus.n_classes, schedule.dropout), plain_batches, plain_accuracy),
        ("paperkit", BiLSTM(vectors, corpus.n_classes, dropout=schedule.dropout), bucketed_batches, bucketed_accuracy),
    ):
        optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay,
                                      fused=True)  # fmt: skip
        contenders[name] = (model, optimizer, batches, accuracy)
    seconds = dict.fromkeys(contenders, 0.0)
    total = epochs * -(-len(train) // schedule.batch_size)
    steps = dict.fromkeys(contenders, 0)
    for epoch in range(epochs):
        for name, (model, optimizer, batches, _) in contenders.items():
            model.train()
            torch.manual_seed(epoch)
            started = time.perf_counter()
            for rows, inputs in batches(epoch):
                for group in optimizer.param_groups:
                    group["lr"] = schedule.learning_rate * rate_factor(steps[name], total, schedule.warmup)
                loss = focal(model(*inputs), labels[rows], gamma=0.0).mean()
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
                optimizer.step()
                steps[name] += 1
            seconds[name] += time.perf_counter() - started

    print(f"{corpus.name}, {platform}: {len(train)} training texts, mean {texts.lengths[train].mean():.1f} words, "
          f"{epochs} epochs, batches of {schedule.batch_size}, one thread")  # fmt: skip
    for name, (model, _, _, accuracy) in contenders.items():
        model.eval()
        with torch.no_grad():
            right = accuracy(model)
        speed = epochs * len(train) / seconds[name]
        print(f"{name:9s} {speed:7.0f} texts/s   test accuracy {right:.4f} (n = {len(test)})")
    print(f"ratio     {seconds['plain'] / seconds['paperkit']:7.2f} ×")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
