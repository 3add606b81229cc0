"""The ceiling: one process that decodes the JSON of an order and answers it, with Litestar on uvicorn and nothing else."""

import os

import msgspec
import uvicorn
from litestar import Litestar, get, post


class Order(msgspec.Struct, rename="camel"):
    order_number: str
    amount: float
    currency: str
    metadata: dict[str, str]


@post("/api/orders")
async def place(data: Order) -> Order:
    return data


@get("/health/ready")
async def ready() -> dict[str, str]:
    return {"status": "ready"}


if __name__ == "__main__":
    app = Litestar([place, ready])
    port = int(os.environ["BARE_PORT"])
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning")
