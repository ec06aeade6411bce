"""A page that shows the board, a hundred places at a time: `uvicorn --factory examples.board_page:page`.

`/board` has the first places and a cursor; `/board?after=…` those behind it, until the cursor is null. `/me` is a
user's own place with the neighbours. Both take `period`. Who asks for what cannot be asked gets 400 and a sentence.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse
from pymongo import AsyncMongoClient

from lbmigrate import AsyncBoard, LbmigrateError, load_config

Number = Annotated[int, Query(ge=1, le=100)]


def page() -> FastAPI:
    """The application, by the configuration that LBMIGRATE_CONFIG names."""
    config = load_config(os.environ.get("LBMIGRATE_CONFIG", "config/leaderboard.yaml"))

    @asynccontextmanager
    async def connected(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncMongoClient[dict[str, Any]](config.database.uri) as client:
            app.state.board = AsyncBoard(client[config.database.name], config)  # one for all requests
            yield

    app = FastAPI(lifespan=connected)

    @app.exception_handler(LbmigrateError)
    async def refused(_: Request, error: LbmigrateError) -> JSONResponse:
        return JSONResponse({"error": error.message, "next": error.hint}, status_code=400)

    @app.get("/board")
    async def board(
        request: Request, period: str = "global", n: Number = 100, after: str | None = None
    ) -> dict[str, Any]:
        found = await request.app.state.board.page(period, n, after)
        return {"places": [asdict(place) for place in found.places], "next": found.next}

    @app.get("/me")
    async def me(request: Request, user: str, period: str = "global", n: Number = 3) -> dict[str, Any]:
        read = request.app.state.board
        own = await read.rank(user, period, hidden=True)  # who is hidden may see their own place
        around = await read.around(user, period, n)
        return {"place": asdict(own) if own else None, "around": [asdict(place) for place in around]}

    return app
