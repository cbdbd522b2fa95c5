"""The chat without screen control: line by line, for screen readers, pipes and simple terminals."""
