"""Many prompts of a file, answered side by side."""
