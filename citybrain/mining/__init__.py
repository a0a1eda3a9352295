"""What operators rejected, as pictures that the next model learns from."""
