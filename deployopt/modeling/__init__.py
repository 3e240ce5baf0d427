"""Everything that needs torch or transformers."""
