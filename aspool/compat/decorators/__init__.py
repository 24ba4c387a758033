"""The module `uwsgidecorators`."""
