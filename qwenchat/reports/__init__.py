"""What the program says of itself: models, servers, statistics, details of a message, the machine."""
