"""documents -> token spans: tokenizer, encoding into flat shards, packing, and the sampler."""
