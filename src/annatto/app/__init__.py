"""The command line and recipes."""
