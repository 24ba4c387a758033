"""What `aspool migrate --check` looks at: options, files, sources. Nothing here changes anything."""
