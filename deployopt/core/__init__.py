"""Nouns: frozen records and the arithmetic that judges them."""
