"""The case view."""
