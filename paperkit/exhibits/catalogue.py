"""Imports every module that registers exhibits."""

from paperkit.exhibits import beyond_b, data, data_a, encoder, ledger, paper_a, paper_b  # noqa: F401
