"""What users' tests are given."""
