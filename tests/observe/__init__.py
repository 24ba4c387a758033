"""Tests of aspool.observe."""
