"""A model in the form of another program: what that needs, and what is expected of it."""
