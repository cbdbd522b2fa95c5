"""What a conversation is: messages, thinking, sampling, events, safe text, errors. No I/O."""
