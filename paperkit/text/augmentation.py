"""How a text is changed, as data: readable where neither jieba nor a corpus is."""

import math
from dataclasses import dataclass

from paperkit.errors import InputError

RATES = {"tfidf": 0.3, "repetition": 0.32, "eda": 0.1, "eda-negative": 0.1, "synonyms": 0.1, "antonyms": 0.1,
         "insert": 0.1, "swap": 0.1, "delete": 0.1}  # fmt: skip
"""The kinds that have a rate, with the one they use where none is given."""
KINDS = (*RATES, "repetition-one", "back-translation", "none")
WITH_LEXICON = ("eda", "eda-negative", "synonyms", "antonyms", "insert")
LEXICONS = ("embedded", "public")


@dataclass(frozen=True)
class Augmentation:
    """How a text is changed.

    Raises:
        InputError: an unknown kind, a value out of its range, or an option that the kind does not have.
    """

    kind: str = "tfidf"
    """One of :data:`KINDS`: ``"tfidf"`` and ``"back-translation"`` are UDA's; ``"repetition"`` is ESimCSE's, and
    ``"repetition-one"`` paper A's form of it; ``"eda"`` is one of EDA's four operations and ``"eda-negative"`` one of paper
    A's three; ``"synonyms"``, ``"insert"``, ``"swap"``, ``"delete"`` and ``"antonyms"`` are the operations themselves."""
    rate: float | None = None
    """How much, from 0 to 1; None is the kind's value in :data:`RATES`. tfidf: p, the share of words replaced on average.
    repetition: dup_rate, the largest share repeated. EDA's kinds: alpha, above 0, the share of words changed (delete: the
    probability that a word goes)."""
    lexicon: str = "embedded"
    """Whose synonyms and antonyms: ``"embedded"`` or ``"public"``; see :func:`paperkit.text.lexicon.lexicon`."""
    paraphrases: str | None = None
    """Back-translation out of a file; see :func:`paperkit.text.translate.read_paraphrases`."""
    forward: str | None = None
    """Back-translation by models: the one into the other language, a folder or a name of the Hugging Face hub."""
    backward: str | None = None
    """The one back."""
    temperature: float = 0.9
    """Of the models' sampling; 0 takes the likeliest words."""
    beams: int = 1
    """Above 1: beam search instead of sampling."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"augmentation is {self.kind!r}; accepted are {', '.join(map(repr, KINDS))}")
        if self.rate is not None and self.kind not in RATES:
            raise InputError(f"rate is {self.rate!r}; augmentation {self.kind!r} has none, accepted is nothing")
        lowest = "0 to 1" if self.kind in ("tfidf", "repetition") else "above 0, up to 1"
        if self.rate is not None and not (_is_number(self.rate) and 0 <= self.rate <= 1
                                          and (self.rate > 0 or lowest == "0 to 1")):  # fmt: skip
            raise InputError(f"rate of augmentation {self.kind!r} is {self.rate!r}; accepted is a share, {lowest}")
        if self.lexicon not in LEXICONS:
            raise InputError(f"lexicon is {self.lexicon!r}; accepted are {', '.join(map(repr, LEXICONS))}")
        if not (_is_number(self.temperature) and 0 <= self.temperature < math.inf):
            raise InputError(f"temperature is {self.temperature!r}; accepted is a number from 0 up")
        if type(self.beams) is not int or self.beams < 1:
            raise InputError(f"beams is {self.beams!r}; accepted is a whole number from 1 up")
        file, models = self.paraphrases is not None, (self.forward is not None, self.backward is not None)
        if self.kind != "back-translation" and (file or any(models)):
            raise InputError(f"augmentation {self.kind!r} was given paraphrases or translation models; accepted are they "
                             "for 'back-translation'")  # fmt: skip
        if self.kind == "back-translation" and (file == any(models) or any(models) != all(models)):
            raise InputError("back-translation needs either paraphrases=file, or the two models forward= and backward=; "
                             f"given are paraphrases={self.paraphrases!r}, forward={self.forward!r}, "
                             f"backward={self.backward!r}")  # fmt: skip

    @property
    def strength(self) -> float:
        """The rate, given or by default."""
        return RATES.get(self.kind, 0.0) if self.rate is None else self.rate


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
