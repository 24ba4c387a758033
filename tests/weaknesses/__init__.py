"""What uWSGI's spooler gets wrong, tried on aspool; the page docs/explanation/uwsgi-weaknesses.md names each test."""
