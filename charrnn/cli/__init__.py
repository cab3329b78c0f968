"""The command line: a module for each command, which ends in plain arguments. Imports everything; nothing imports it."""
