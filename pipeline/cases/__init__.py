"""Stage two: from episodes and commands to cases and what is told of them. Keyed by locality, pure, in the time of the data."""
