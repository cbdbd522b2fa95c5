"""What the program needs of the machine, whatever it is a chat about."""
