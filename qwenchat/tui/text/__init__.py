"""Text that is typed: graphemes, pastes, completion, dates."""
