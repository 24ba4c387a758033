"""The module `uwsgidecorators`: it puts its parts together. What it decorates uses the functions of `uwsgi`."""

from types import ModuleType
from typing import Any

from ..program import Program
from .others import OtherDecorators
from .processes import ProcessDecorators
from .signalled import SignalDecorators
from .spooled import SpoolDecorators, decoded, encoded

_PARTS = (SpoolDecorators, SignalDecorators, ProcessDecorators, OtherDecorators)
_HOOKS = {"spooler": "manage_spool_request", "post_fork_hook": "postfork_chain_hook",
          "mule_msg_hook": "mule_msg_dispatcher"}  # fmt: skip


class _Module(ModuleType):
    """It is filled when a program takes something from it: only then, as by its import, the hooks of uwsgi are its."""

    def __init__(self, program: Program) -> None:
        super().__init__("uwsgidecorators", "The decorators of uWSGI, as aspool has them.")
        self.__dict__["_program"] = program

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":  # of `from uwsgidecorators import *`
            return [known for known in dir(self) if not known.startswith("_")]
        if not name.startswith("__") and "spool" not in vars(self):
            self._fill()
            if name in vars(self):
                return vars(self)[name]
        raise AttributeError(f"module 'uwsgidecorators' has no attribute {name!r}", name=name, obj=self)

    def __dir__(self) -> list[str]:
        if "spool" not in vars(self):
            self._fill()
        return sorted(vars(self))

    def _fill(self) -> None:
        program: Program = vars(self)["_program"]
        for part in _PARTS:
            made = part(program)
            vars(self).update({name: getattr(made, name) for name in dir(made) if not name.startswith("_")})
        for hook, name in _HOOKS.items():
            setattr(program.module, hook, vars(self)[name])
        vars(self)["uwsgi"] = program.module
        vars(self).update(_encode_to_spooler=encoded, _decode_from_spooler=decoded)  # which some programs use


def made_module(program: Program) -> ModuleType:
    """The module of a program."""
    return _Module(program)
