"""From texts to padded batches: words, vocabulary, word vectors, batches. Each is computed once per corpus."""
