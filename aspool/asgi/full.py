"""spool_full: the answer 503 to a request whose task cannot be taken now."""

import logging

from starlette.requests import Request
from starlette.responses import JSONResponse

from ..errors import SpoolFull

RETRY_AFTER = 30  # seconds

logger = logging.getLogger("aspool.asgi")


async def spool_full(request: Request, error: Exception) -> JSONResponse:
    """Answer 503 with Retry-After, in FastAPI's form: `app.add_exception_handler(SpoolFull, spool_full)`.

    It serves NotSpooled (of which SpoolFull is a kind), SpoolUnusable and PartlySpooled as well. What the error says
    goes to the log, since it names paths of this machine.
    """
    logger.warning("%s %s is answered with 503: %s", request.method, request.url.path, error)
    why = "Too many tasks are waiting" if isinstance(error, SpoolFull) else "No tasks can be taken now"
    return JSONResponse({"detail": f"{why}: try again later."}, 503, {"Retry-After": str(RETRY_AFTER)})
