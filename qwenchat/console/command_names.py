"""What other chats call the commands of this one."""

ALIASES = {"bye": "quit", "exit": "quit", "q": "quit", "clear": "new"}
"""A command by the name that somebody brings along."""
