"""Programs that run inside uWSGI, where `import uwsgi` works."""
