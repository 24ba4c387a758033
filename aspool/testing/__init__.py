"""What the tests of applications, and of spools, need. Nothing here runs in production."""
