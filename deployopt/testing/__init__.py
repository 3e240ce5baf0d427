"""For people's own tests: a plugin that lets pytest judge a bundle, and hands it to their tests."""
