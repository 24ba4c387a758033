"""What uWSGI programs spool: the functions that spool and look, and the handler that runs it."""
