"""Which messages may begin, and which may be put: limits of tasks, pauses, strict order, bounded spools."""
