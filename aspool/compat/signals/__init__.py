"""Signals of uWSGI programs: registering, raising and waiting for them, and the timers that raise them."""
