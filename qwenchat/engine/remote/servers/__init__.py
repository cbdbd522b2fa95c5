"""The kinds of servers, each in a file of its own that is named as its member of `Dialect` is."""
