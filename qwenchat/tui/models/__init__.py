"""Choosing a model, and comparing several."""
