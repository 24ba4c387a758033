"""compat: the modules `uwsgi` and `uwsgidecorators` for programs that were written for uWSGI. `install` puts them in.

Pickles are read in here and nowhere else.
"""

from .installing import install
from .program import Program, Role

__all__ = ["Program", "Role", "install"]
