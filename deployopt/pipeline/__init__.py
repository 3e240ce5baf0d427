"""Run a plan: recipes become artifacts, measurements, a verdict and a bundle."""
