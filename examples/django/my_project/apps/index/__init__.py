"""The one application: a shop."""
