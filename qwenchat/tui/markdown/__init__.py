"""Markdown and formulas as pieces of text, without widgets."""
