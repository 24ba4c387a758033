"""The project. There is nothing to set up for tasks: no callbacks, as the web only writes and the worker only reads."""
