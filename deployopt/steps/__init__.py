"""Verbs that turn one artifact into another: prune, distil, export, optimize, quantize."""
