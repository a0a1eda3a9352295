"""Telling others by HTTP without losing a word: what must be told, to whom, again and again until it is taken."""
