"""What `aspool doctor` looks at. Each check is a small function that returns findings; none changes the spool."""
