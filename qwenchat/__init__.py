"""A private chat with Qwen3 in your terminal."""

__version__ = "0.1.0"
