"""What the model may call: the toolbox, built-in tools, MCP servers, permissions."""
