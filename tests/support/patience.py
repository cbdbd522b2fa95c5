"""How long the tests wait for what must come."""

PATIENCE_S = 60
"""Seconds: enough on a machine that is busy with much else; nothing waits this long unless it fails."""
