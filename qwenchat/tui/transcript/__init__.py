"""A conversation on the screen: messages, replies, thoughts, lists, tables."""
