"""Metrics, statistics, agreement, probes: what predictions and representations are worth."""
