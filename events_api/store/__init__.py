"""Where the view of the cases is kept."""
