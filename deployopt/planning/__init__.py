"""Arithmetic that answers before anything is built."""
