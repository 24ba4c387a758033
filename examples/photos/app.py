"""The web application: it takes photographs and sign-ups, spools the work and answers at once."""

from typing import Annotated

from fastapi import FastAPI, HTTPException, Path, Query, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from tasks import THUMBNAILS, spooler, thumbnail, welcome

from aspool import Body
from aspool.asgi import lifespan

app = FastAPI(lifespan=lifespan(spooler, worker=False))  # the worker is a process of its own: `aspool worker app`


class SignUp(BaseModel):
    name: str = Field(pattern=r"^[^\r\n]{1,80}$")
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")


class Receipt(BaseModel):
    id: str


@app.post("/photos", status_code=202)
async def take(photograph: UploadFile, width: Annotated[int, Query(ge=1, le=2000)] = 240) -> Receipt:
    ticket = await thumbnail.spool(Body(photograph), width=width)  # streamed, never whole in memory
    return Receipt(id=ticket.id)


@app.get("/photos/{id}")
async def show(id: Annotated[str, Path(pattern="^[0-9a-f]{22}$")]) -> FileResponse:
    file = THUMBNAILS / f"{id}.jpg"
    if not file.exists():
        raise HTTPException(404, "it is not ready yet")
    return FileResponse(file)


@app.post("/signup", status_code=202)
async def sign_up(person: SignUp) -> Receipt:
    ticket = await welcome.spool(person.name, email=person.email)
    return Receipt(id=ticket.id)
