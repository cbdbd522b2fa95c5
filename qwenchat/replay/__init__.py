"""A saved conversation played back, rendered as text, or asked again."""
