"""config.toml, the table of parameters, and presets."""
