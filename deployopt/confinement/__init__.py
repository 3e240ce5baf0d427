"""Processes that read strangers' files: what they give up, how they are asked and stopped."""
