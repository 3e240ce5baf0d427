"""Content-addressed cache and atomic publishing: the only folder that writes files."""
