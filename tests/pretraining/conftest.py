"""Lines to learn pieces from, and what is learned from them."""

import pytest

from paperkit.pretraining import tokenizer
from paperkit.pretraining.text import Text, parted
from tests.small import reviews, tickets


@pytest.fixture(scope="session")
def lines() -> list[str]:
    """Chinese and English documents as the tokeniser is trained on them."""
    chinese = [parted(Text(text, "zh", "reviews")) for text, *_ in reviews(150, ("ctrip",))]
    return chinese + [parted(Text(text, "en", "tickets")) for text, _ in tickets({"billing": 60, "network": 60})]


@pytest.fixture(scope="session")
def learned(lines):
    """Pieces that are words and parts of words."""
    return tokenizer.train(lines, 300)


@pytest.fixture(scope="session")
def characters(lines):
    """Every Han character a token of its own."""
    return tokenizer.train(lines, 300, "characters")
