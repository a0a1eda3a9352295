"""citybrain turns what a city's cameras see into governance cases: one real problem, one case."""

__version__ = "0.1.0"
