"""`aspool worker my_project.worker`: Django is set up before the tasks import its models."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "my_project.settings")
django.setup()

from my_project.apps.index import tasks  # noqa: E402, F401 - it needs the settings
from my_project.spooling import spooler  # noqa: E402, F401 - for the worker to find
