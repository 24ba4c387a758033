"""What uWSGI has and aspool has not: functions of requests, of its own event loops and of its plugins. Each says what
to use instead, when it is called."""

from typing import Any

_SHARED = "there is no shared memory here: use uwsgi.cache_set and cache_inc, or multiprocessing.shared_memory"
_WEBSOCKET = "websockets belong to the web server: use those of Starlette or FastAPI under uvicorn"
_LOOP = "there are no green threads of uWSGI here: write `async def` under an ASGI server, or a task of aspool"
_REQUEST = "a task has no request, and web requests are not aspool's: use what your ASGI or WSGI server has"
_SOCKET = "use the module socket, or an HTTP client"
_STATIC = "let the web server send files, or use FileResponse of Starlette"
_LOG = "use the module logging, or uwsgi.log"
_ROUTE = "routes belong to the web server: use nginx, or the routes of your framework"
_EMBEDDED = "nothing is embedded in this interpreter: use importlib.resources"
_ERLANG = "there is no Erlang node here"
_CLUSTER = "there is no cluster: workers on several machines share a spool in PostgreSQL"
_SNMP = "there is no SNMP agent: use the option `health`, which gives /metrics, or uwsgi.metric_inc"
_OPTION = "options are read only: uwsgi.opt has them"
_OTHER = "it has been taken out of uWSGI: spool a task, or send a message to a mule"


def _each(names: str, instead: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), instead)


UNSUPPORTED: dict[str, str] = {
    **_each(
        "sharedarea_dec32 sharedarea_dec64 sharedarea_inc32 sharedarea_inc64 sharedarea_inclong sharedarea_memoryview "
        "sharedarea_object sharedarea_read sharedarea_read16 sharedarea_read32 sharedarea_read64 sharedarea_read8 "
        "sharedarea_readbyte sharedarea_readlong sharedarea_rlock sharedarea_unlock sharedarea_wlock sharedarea_write "
        "sharedarea_write16 sharedarea_write32 sharedarea_write64 sharedarea_write8 sharedarea_writebyte "
        "sharedarea_writelong",
        _SHARED,
    ),
    **_each(
        "websocket_handshake websocket_recv websocket_recv_nb websocket_send websocket_send_binary "
        "websocket_send_from_sharedarea websocket_send_binary_from_sharedarea",
        _WEBSOCKET,
    ),
    **_each(
        "async_sleep async_connect async_send_message green_schedule suspend wait_fd_read wait_fd_write ready_fd "
        "sorry_i_need_to_block",
        _LOOP,
    ),
    **_each(
        "start_response add_var chunked_read chunked_read_nb cl connection_fd req_fd set_warning_message applist "
        "fastfuncs grunt",
        _REQUEST,
    ),
    **_each("connect close recv recv_block recv_frame send is_connected fcgi", _SOCKET),
    **_each("sendfile offload", _STATIC),
    **_each("get_logvar set_logvar log_this_request", _LOG),
    **_each("route", _ROUTE),
    **_each("embedded_data extract SymbolsImporter SymbolsZipImporter ZipImporter", _EMBEDDED),
    **_each(
        "erlang_connect erlang_recv_message erlang_register_process erlang_rpc erlang_send_message erlang_close",
        _ERLANG,
    ),
    **_each("cluster cluster_best_node cluster_node_name cluster_nodes send_multicast_message multicast", _CLUSTER),
    **_each(
        "snmp_set_counter32 snmp_set_counter64 snmp_set_gauge snmp_incr_counter32 snmp_incr_counter64 snmp_incr_gauge "
        "snmp_decr_counter32 snmp_decr_counter64 snmp_decr_gauge add_probe",
        _SNMP,
    ),
    **_each("getoption get_option setoption set_option load_plugin has_hook", _OPTION),
    **_each("send_multi_message message_manager_marshal lord_scroll scrolls", _OTHER),
}


class Unsupported:
    """A function, or a class, that says that it is not there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raise NotImplementedError."""
        raise NotImplementedError(f"aspool has no uwsgi.{self._name}: {UNSUPPORTED[self._name]}")

    def __repr__(self) -> str:
        return f"<uwsgi.{self._name}, which aspool has not>"
