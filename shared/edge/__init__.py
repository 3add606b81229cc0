"""What both services need at their HTTP edge. The only part of `shared` that knows Litestar and uvicorn."""
