"""The command line: which commands there are, their options, and the process around them."""
