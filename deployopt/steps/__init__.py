"""Verbs that turn one artifact into another: export, optimize, quantize."""
