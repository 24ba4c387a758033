"""The command line: the only reader of argv and of the environment. Nothing outside this folder imports click or rich."""
