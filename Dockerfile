# The server with its starter models; nothing is downloaded when it runs.
FROM python:3.12-slim AS build
COPY requirements.lock /tmp/
RUN python -m venv /opt/facereco/.venv \
    && /opt/facereco/.venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.lock \
    && cp /tmp/requirements.lock /opt/facereco/.venv/

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /opt/facereco facereco \
    && install -d -o facereco -g facereco -m 0700 /data
COPY --from=build /opt/facereco/.venv /opt/facereco/.venv
COPY facereco requirements.lock LICENSE /opt/facereco/
COPY app /opt/facereco/app
COPY migrations /opt/facereco/migrations
COPY models /opt/facereco/models
COPY tests/pictures /opt/facereco/tests/pictures
# Nothing is written when it runs, compiled modules neither.
RUN /opt/facereco/.venv/bin/python -m compileall -q /opt/facereco/app
USER facereco
ENV FACERECO_DATA=/data FACERECO_HOST=0.0.0.0 FACERECO_PORT=8000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["/opt/facereco/.venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["/opt/facereco/facereco"]
CMD ["serve"]
