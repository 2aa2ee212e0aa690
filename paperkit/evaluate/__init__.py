"""Metrics, statistics, agreement: what predictions are worth."""
