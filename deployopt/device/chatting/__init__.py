"""Talking with a language model's bundle: turns, a confined process that answers, transcripts."""
