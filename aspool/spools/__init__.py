"""The engines: each folder or file is one kind of spool, opened by the scheme of its address."""
