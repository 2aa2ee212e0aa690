"""Imports every module that registers exhibits."""

from paperkit.exhibits import beyond_b, data, encoder, paper_b  # noqa: F401
