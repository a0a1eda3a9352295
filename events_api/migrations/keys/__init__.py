"""The tables of keys and sessions through their versions."""
