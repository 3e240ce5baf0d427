"""A verdict or a plan as terminal text, JSON, Markdown, HTML or JUnit."""
