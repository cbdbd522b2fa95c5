"""The screen of the chat."""
