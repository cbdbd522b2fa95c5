"""config.toml, its schema, and presets."""
