"""Pictures that show what a case says, hashed when written and checked when read."""
