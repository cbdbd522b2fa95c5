"""The settings and the presets on the screen."""
