"""The Textual interface."""

import os

# Textual draws at the beats of a clock, and after a long draw waits for up to two of them, and a key with it.
os.environ.setdefault("TEXTUAL_FPS", "120")
