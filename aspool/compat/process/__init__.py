"""What a uWSGI program asks of its processes, and of uWSGI itself."""
