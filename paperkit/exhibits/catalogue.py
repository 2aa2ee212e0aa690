"""Imports every module that registers exhibits."""

from paperkit.exhibits import beyond_b, data, data_a, encoder, paper_a, paper_b, sentences, uda  # noqa: F401
