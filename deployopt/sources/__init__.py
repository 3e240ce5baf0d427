"""A model or data name becomes files."""
