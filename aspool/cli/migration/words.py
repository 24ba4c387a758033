"""Options of uWSGI that are not the spooler's, and what becomes of each when tasks move to aspool. Values only."""

from collections.abc import Mapping

_SERVICE = "a unit of systemd, or whatever starts your programs"
_TIMER = "a timer of systemd, or a line of cron: it is a command; for a function use @spooler.cron"
_LOGS = "the journal of systemd, or log_level, log_format and log_config"

# aspool neither does it nor has something that takes its place by itself.
UNSUPPORTED: Mapping[str, str] = {
    **dict.fromkeys(("cron", "cron2", "unique-cron"), _TIMER),
    **dict.fromkeys(("attach-daemon", "attach-daemon2", "smart-attach-daemon", "smart-attach-daemon2"), _SERVICE),
    "sharedarea": "uwsgi.cache_set and the like, or mmap of the standard library",
    **dict.fromkeys(("alarm", "log-alarm"), "an observer of the Spooler, or the alerts of your monitoring"),
}

# What the worker, a process of its own, needs as the web application does.
WORKER_TOO: Mapping[str, str] = {
    "env": "set it for the worker, too: Environment= of systemd",
    **dict.fromkeys(("venv", "virtualenv", "home", "pyhome"), "install aspool there, and start the worker from there"),
    **dict.fromkeys(("pythonpath", "python-path", "pp"), "set PYTHONPATH for the worker, or start it there"),
    **dict.fromkeys(("chdir", "chdir2"), "start the worker there: WorkingDirectory= of systemd, or chdir"),
    **dict.fromkeys(("uid", "gid"), "run the worker as the same user: task files have mode 0600"),
    **dict.fromkeys(("module", "wsgi", "wsgi-file", "file", "mount", "pecan", "paste", "eval"),
                    "name the module that has the tasks: aspool worker --uwsgi MODULE"),
    **dict.fromkeys(("import", "pyimport", "py-import", "python-import", "shared-import", "shared-pyimport"),
                    "if it has tasks, timers or signals: aspool worker --uwsgi MODULE"),
    "master-as-root": "start the worker as the user that it shall have",
}  # fmt: skip

# The shims have it; `aspool worker --uwsgi … --ini` takes it from the file.
SHIM: Mapping[str, str] = {
    "mules": "aspool worker --uwsgi takes it with --ini: a message for a mule is run in a process of its own; "
             "a web process is told: install(…, mules=N)",
    "farm": "aspool worker --uwsgi takes it",
    "locks": "uwsgi.lock and unlock have as many",
    "queue": "uwsgi.queue_* have as many places",
    **dict.fromkeys(("metric", "enable-metrics"), "uwsgi.metric_* know any name"),
    **dict.fromkeys(("cache", "cache2"), "uwsgi.cache_* are shared by all processes, in a file beside the spool"),
    **dict.fromkeys(("set", "set-ph", "set-placeholder"), "the program finds it in uwsgi.opt"),
}

# There is nothing to do: aspool is so anyway, or it has a way of its own.
SUPERFLUOUS: Mapping[str, str] = {
    "master": "a supervisor is there whenever an option needs it",
    **dict.fromkeys(("lazy", "lazy-apps"), "each worker imports the program itself"),
    "enable-threads": "threads always work",
    **dict.fromkeys(("single-interpreter", "need-app", "strict", "vacuum", "no-orphans"), "it is so here"),
    **dict.fromkeys(("die-on-term", "reload-mercy", "worker-reload-mercy", "mule-reload-mercy"),
                    "SIGTERM always ends a worker, and `grace` says how long its jobs may take"),
    **dict.fromkeys(("daemonize", "daemonize2", "pidfile", "pidfile2", "safe-pidfile"),
                    "workers stay in the foreground, under systemd; `pidfile` is there"),
    **dict.fromkeys(("logto", "logto2", "logger", "log-format", "log-date", "disable-logging"), _LOGS),
    **dict.fromkeys(("stats", "stats-server", "stats-http"), "`health` gives /status and /metrics"),
    **dict.fromkeys(("auto-procname", "procname", "procname-prefix"), "ps shows which spool a worker serves"),
}  # fmt: skip
