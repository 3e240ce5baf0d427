"""A bundle that answers over HTTP: `POST /predict`, `GET /health`, `GET /metadata`.

The server is uvicorn with Starlette, the extra `serve`; they are imported where they are used.
"""
