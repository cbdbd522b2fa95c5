"""One chat as a state machine, without a user interface and without torch."""
