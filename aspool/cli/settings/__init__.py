"""Where `aspool worker` gets its settings from: flags, the environment, TOML, a uwsgi.ini; and what came from where."""
