"""The command line, the only reader of argv and of the environment. Nothing else imports click or rich."""
