"""The documentation: what it says is run."""
