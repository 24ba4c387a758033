"""What a uWSGI program says to others over a socket, or has others call by name."""
