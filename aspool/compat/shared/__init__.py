"""What all processes of a uWSGI program share: cache, queue, locks and metrics, and the database for them."""
