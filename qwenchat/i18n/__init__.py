"""The texts of the program, in the user's language."""
