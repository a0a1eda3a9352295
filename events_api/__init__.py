"""What operators and the case platform see: a view of the cases, and the commands they give."""
