"""What a terminal without a screen shows: a turn line by line, a question and its answer, a permission."""
