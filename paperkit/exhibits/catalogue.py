"""Imports every module that registers exhibits."""

from paperkit.exhibits import (  # noqa: F401
    adversarial,
    beyond_a,
    beyond_b,
    calibration,
    controls,
    data,
    data_a,
    encoder,
    first_topic,
    learning_curve,
    ledger,
    limits,
    paper_a,
    paper_b,
    rewording,
    robustness,
    sentences,
    uda,
)
