"""CBOW over tokens: same vectors every time, of the asked spread, and neighbours in the text are neighbours in space."""

import numpy as np

from paperkit.pretraining.vectors import token_vectors


def test_tokens_of_one_context_become_alike():
    rng = np.random.default_rng(0)
    # two topics of eight tokens that never meet
    tokens = np.concatenate([rng.choice(np.arange(8) + 8 * (i % 2), 256) for i in range(60)]).astype(np.uint16)
    made = token_vectors(tokens, 20, 16, epochs=3, seed=1, std=0.02)
    assert made.shape == (20, 16) and made.dtype == np.float32
    assert np.array_equal(made, token_vectors(tokens, 20, 16, epochs=3, seed=1, std=0.02))
    np.testing.assert_allclose(made[:16].std(axis=0), 0.02, rtol=1e-3)
    np.testing.assert_allclose(made[:16].mean(axis=0), 0, atol=1e-6)
    unit = made / np.linalg.norm(made, axis=1, keepdims=True)
    within = (unit[:8] @ unit[:8].T).mean() + (unit[8:16] @ unit[8:16].T).mean()
    across = 2 * (unit[:8] @ unit[8:16].T).mean()
    assert within > across + 0.5
    assert np.isfinite(made[16:]).all() and made[16:].any(axis=1).all(), "what does not occur starts from noise"
