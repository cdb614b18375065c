#!/bin/sh
# The Lambda Web Adapter starts this and forwards requests to its port, one at a time.
exec python -m uvicorn app.main:app --host 127.0.0.1 --port "$AWS_LWA_PORT" --no-access-log
