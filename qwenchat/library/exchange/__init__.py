"""Conversations out of the library and into it: Markdown, JSON, JSONL, and what other programs write."""
