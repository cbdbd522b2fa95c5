"""What every screen stands on: themes, the terminal, and what is replaced of Textual."""
