"""Paper A's division of a corpus (its Table 2): labelled, unlabelled for UDA and for ESimCSE, dev, test, and the
samples on which standard and robust accuracy are measured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paperkit.corpora.corpus import Corpus, normalise
from paperkit.seeds import derive

POOL_SEED = 20230515  # as with splits, the seed of a run never moves a text
FEWEST = 100
"""Texts without a label that two pools need: fewer would not fill a few batches of each."""


@dataclass(frozen=True, eq=False)
class Pools:
    """Rows of a corpus, each array sorted, by what they are used for; none is in two but as said here."""

    labelled: NDArray[np.int64]
    """Trained on with their labels."""
    uda: NDArray[np.int64]
    """Trained on without labels, by the consistency loss."""
    esimcse: NDArray[np.int64]
    """Trained on without labels, by contrastive learning; no row is in both pools."""
    dev: NDArray[np.int64]
    test: NDArray[np.int64]
    sa: NDArray[np.int64]
    """Test texts for standard accuracy."""
    ra: NDArray[np.int64]
    """Test texts that are attacked; the same ones, unless drawn independently."""
    from_corpus: int
    """Texts of both pools that came without labels."""
    from_training: int
    """Texts of both pools whose labels exist and are not used."""
    from_labelled: int
    """Texts of both pools that are trained on with their labels too, for want of others."""

    @property
    def sentence(self) -> str:
        """Where the unlabelled texts come from, for a report."""
        sources = [
            f"{self.from_corpus:,} texts without a label" if self.from_corpus else "",
            f"{self.from_training:,} training texts whose labels are not used" if self.from_training else "",
        ]
        own = " and ".join(filter(None, sources))
        if not self.from_labelled:
            return own
        lack = f"{own}, too few" if own else "no text without a label"
        return f"{lack}: all {self.from_labelled:,} labelled texts are used again without their labels"


def pools(
    corpus: Corpus,
    robustness: int,
    labelled: ArrayLike | None = None,
    *,
    platform: str | None = None,
    paired: bool = True,
) -> Pools:
    """Divide the core texts of a corpus, or of one of its platforms; which text goes where depends on the texts alone, not
    on their order.

    The unlabelled texts, and training texts that are not in ``labelled``, are halved between UDA and ESimCSE. Where
    they are fewer than :data:`FEWEST`, the ``labelled`` ones join them, with their labels hidden.

    Args:
        robustness: size of the samples for standard and robust accuracy; all test texts where there are fewer.
        labelled: rows whose labels are trained on (see :func:`paperkit.training.execute.training_rows`); all core
            training rows when None.
        paired: attack the very texts that standard accuracy is measured on, which the paper leaves open. An independent
            sample may share texts with it.

    Raises:
        ValueError: a row of ``labelled`` is not a labelled training row.
    """
    train, own, dev, test = (corpus.rows(split, platform).index.to_numpy(np.int64)
                             for split in ("train", "unlabelled", "dev", "test"))  # fmt: skip
    labelled = train if labelled is None else np.unique(np.asarray(labelled, np.int64))
    if len(wrong := np.setdiff1d(labelled, corpus.rows("train", platform, core_only=False).index)):
        raise ValueError(f"row {wrong[0]} of {corpus.name} is to be trained on and is no training row")
    hidden = np.setdiff1d(train, labelled)
    again = labelled if len(own) + len(hidden) < FEWEST else labelled[:0]
    pool = _shuffled(corpus, np.concatenate([own, hidden, again]), "unlabelled")
    half = -(-len(pool) // 2)
    sa = _shuffled(corpus, test, "sa")[:robustness]
    ra = sa if paired else _shuffled(corpus, test, "ra")[:robustness]
    return Pools(labelled, *map(np.sort, (pool[:half], pool[half:], dev, test, sa, ra)),
                 len(own), len(hidden), len(again))  # fmt: skip


def _shuffled(corpus: Corpus, rows: NDArray[np.int64], purpose: str) -> NDArray[np.int64]:
    """The rows in an order that their texts decide."""
    texts = corpus.table.text
    order = [derive(POOL_SEED, purpose, normalise(texts.iat[row])) for row in rows.tolist()]
    return rows[np.argsort(order, kind="stable")]
