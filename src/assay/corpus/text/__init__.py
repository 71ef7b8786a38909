"""Text as arrays of code points and as words, and how loops over them are compiled."""
