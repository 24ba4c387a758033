"""Names of the modules of uWSGI that the shims have, but not quite as there: what a program may notice. Values only.

They are the words of the tables in docs/coming-from-uwsgi.md.
"""

from collections.abc import Mapping

_TIMERS = "the spool has it, once for all processes: a restart does not begin it anew"
_LOCKS = "they work in a spooler, too, and are free when the process that has them dies"
_CACHE = "kept in a file, so there is no limit but the disk, and no cache of another server"
_METRICS = "any name is a metric; they begin with 0"
_NUMBERS = "0 or nothing: aspool serves no requests"
_MULES = (
    "without `aspool run --mule` the message is spooled, and run in a process of its own; there must be mules: "
    "`--mules 1`, or `install(…, mules=1)`"
)
_MULES_PROGRAM = "run by `aspool run --mule N`"
_CRON = "it fires on the minute, and not when it starts; in the zone of the machine, or of `--tz`"
_REGISTERED = "an unknown target is refused, and a number that has another handler already"
_ALARM = "a warning in the log"
_RPC = "functions of the same process only"
_MASTER = "the workers of aspool"
_SIGNALS = "it waits in the spool until a worker has run it, and is never dropped"

UWSGI: Mapping[str, str] = {
    "add_timer": _TIMERS,
    "add_ms_timer": _TIMERS,
    "add_rb_timer": f"{_TIMERS}; iterations begin anew",
    "add_cron": _CRON,
    "add_file_monitor": "the path need not exist yet, and a change while nobody ran is found",
    "register_signal": _REGISTERED,
    "signal": _SIGNALS,
    **dict.fromkeys(("lock", "unlock", "is_locked"), _LOCKS),
    **dict.fromkeys(("mule_msg", "farm_msg"), _MULES),
    **dict.fromkeys(
        ("cache_set", "cache_update", "cache_get", "cache_exists", "cache_del", "cache_clear", "cache_keys"), _CACHE
    ),
    **dict.fromkeys(("cache_num", "cache_inc", "cache_dec", "cache_mul", "cache_div"), _CACHE),
    **dict.fromkeys(("metric_get", "metric_set", "metric_set_max", "metric_set_min"), _METRICS),
    **dict.fromkeys(("metric_inc", "metric_dec", "metric_mul", "metric_div"), _METRICS),
    **dict.fromkeys(("rpc", "call", "register_rpc", "rpc_list"), _RPC),
    **dict.fromkeys(("reload", "stop", "workers"), _MASTER),
    **dict.fromkeys(("ready", "accepting", "disconnect"), _NUMBERS),
    **dict.fromkeys(("total_requests", "request_id", "listen_queue"), _NUMBERS),
    "alarm": _ALARM,
    "worker_id": "a web process takes the lowest number that no other has, or that of "
                 "`install(spooler, role=Role(number=2))`",
    "logsize": "0: the log is no file of ours",
    "set_user_harakiri": "what it stops is counted, and buried in the end, where uWSGI repeats it for ever",
}  # fmt: skip
DECORATORS: Mapping[str, str] = {
    "spool": "what it raises is retried with growing pauses, and buried in the end; values may be bytes",
    "spoolraw": "what it raises is retried and buried, as with `spool`; "
                "to return nothing is a failure, not a retry for ever",
    "spoolforever": "what it raises is retried and buried, as with `spool`; "
                    "else it runs again after `frequency` seconds, for ever",
    "timer": _TIMERS,
    "rbtimer": _TIMERS,
    "mstimer": _TIMERS,
    "cron": _CRON,
    "filemon": UWSGI["add_file_monitor"],
    "signal": _REGISTERED,
    **dict.fromkeys(("mulefunc", "mulemsg"), _MULES),
    **dict.fromkeys(("mule", "muleloop", "farm"), _MULES_PROGRAM),
    "lock": _LOCKS,
    "harakiri": UWSGI["set_user_harakiri"],
    "rpc": _RPC,
}  # fmt: skip

# Something may have to be changed for these, in the program or in how it is started; the others are for the better.
TO_LOOK_AT = frozenset({_MULES, _MULES_PROGRAM, _CRON, _REGISTERED, _RPC, _MASTER, _NUMBERS, _ALARM})
