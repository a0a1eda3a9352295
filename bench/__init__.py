"""What the project says of its speed and its strength, measured: each module prints the figures that it claims."""
