"""Cameras out of the tables that cities keep of them: a CSV becomes a file of cameras, and its passwords an env file."""
