"""The vocabulary of ``mini``: word pieces of Chinese and English, learned from the text that it is pretrained on.

Byte-pair encoding over characters. While the merges are learned, Chinese is cut into jieba's words and no merge crosses a
border, so the pieces of Chinese are characters, words and parts of words; a character is never split. Applied, the
tokeniser needs no jieba: a stretch of Han characters is merged by the order in which the merges were learned.
"""

from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from paperkit.errors import InputError

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
PAD, START, END, UNKNOWN, MASK = range(len(SPECIAL))
BORDER = "\x1f"
"""Stands between two words of Chinese while the merges are learned."""
ALPHABET = 5000
"""Characters that are known; rarer ones become ``<unk>``."""
PIECES = ("words", "characters")


def train(texts: Iterable[str], size: int = 16_000, pieces: str = "words") -> Tokenizer:
    """A tokeniser of at most ``size`` entries.

    ``texts`` are lower-cased and NFKC-normalised; Chinese words in them are parted by :data:`BORDER`. ``pieces`` is
    ``"words"``, or ``"characters"``: every Han character is a token of its own.
    """
    if pieces not in PIECES:
        raise InputError(f"pieces is {pieces!r}; accepted are {', '.join(map(repr, PIECES))}")
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"[\s\p{C}&&[^\x1f]]+"), " ")]
    )
    han = pre_tokenizers.Split(Regex(r"\p{Han}" if pieces == "characters" else r"\p{Han}+"), "isolated")
    rest = [pre_tokenizers.Punctuation("isolated"), pre_tokenizers.Metaspace("▁", prepend_scheme="never")]
    border = pre_tokenizers.Split(BORDER, "removed")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([border, han, *rest])
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=5, limit_alphabet=ALPHABET, show_progress=False,
                                  max_token_length=16, special_tokens=[*SPECIAL])  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([han, *rest])
    tokenizer.decoder = decoders.Metaspace("▁", prepend_scheme="never")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", START), ("</s>", END)]
    )
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    return tokenizer
