"""Keys, the actions they stand for, and slash commands."""
