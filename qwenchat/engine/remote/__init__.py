"""Models behind OpenAI-compatible addresses."""
