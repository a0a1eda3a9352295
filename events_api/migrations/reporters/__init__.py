"""The tables of who reported through their versions."""
