"""Builds of language models: the same gate, asked of likelihoods and of tokens a second."""
