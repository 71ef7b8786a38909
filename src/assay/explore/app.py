"""The page and what it asks behind one guard: the files of `page/`, the routes of `api`, errors of one form."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from assay import present
from assay.errors import AssayError
from assay.explore.api import Explorer, routes
from assay.web.errors import Refused, invalid, refusal
from assay.web.guard import Guard
from assay.web.keys import Keys

PAGE = Path(__file__).parent / "page"
SHARED = Path(present.__file__).parent / "static" / "page.css"  # what all pages look like
BODY = 256 << 10  # bytes of a question
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def app(roots: list[Path], keys: Keys, language: str = "en") -> Any:
    """The service over some folders.

    Raises:
        InputError: one is no folder.
    """
    made = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, title="assay explore")
    made.include_router(routes(Explorer(roots, language)))
    files = {f"/{path.name}": path for path in sorted(PAGE.iterdir()) if path.is_file()}
    files["/"] = files.pop("/index.html")
    files["/page.css"] = SHARED
    for place, path in files.items():
        made.get(place, include_in_schema=False)(_file(path))

    @made.exception_handler(AssayError)
    async def told(request: Request, error: AssayError) -> Response:
        return _refused(refusal(error))

    @made.exception_handler(RequestValidationError)
    async def bad(request: Request, error: RequestValidationError) -> Response:
        return _refused(invalid(error.errors()))

    @made.exception_handler(HTTPException)
    async def none(request: Request, error: HTTPException) -> Response:
        return _refused(Refused(error.status_code, str(error.detail).lower(), "no_such_place"))

    return Guard(made, keys, body=BODY)


def _refused(refused: Refused) -> Response:
    return Response(refused.body, refused.status, refused.headers, "application/json")


def _file(path: Path) -> Any:
    content = path.read_bytes()
    kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0] or "text/plain"

    async def file() -> Response:
        return Response(content, media_type=kind, headers={"content-security-policy": POLICY})

    return file
