# One image for every role: `citybrain up` by default, the demo city with `python -m citybrain.demo`.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /opt/citybrain

# Dependencies change less often than code: their layer is kept.
COPY requirements-city.txt ./
RUN python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --require-hashes --requirement requirements-city.txt
ENV PATH=/opt/venv/bin:$PATH

COPY pyproject.toml README.md LICENSE ./
COPY citybrain citybrain
COPY ingest ingest
COPY detectors detectors
COPY pipeline pipeline
COPY events_api events_api
COPY bench bench
COPY models models
COPY configs configs
RUN python -m pip install --no-deps --no-build-isolation --editable . \
    && python -m compileall -q citybrain ingest detectors pipeline events_api bench \
    && useradd --system --uid 10001 --no-create-home --home-dir /data citybrain \
    && install --directory --owner=citybrain --group=citybrain /data /data/pipeline

USER citybrain
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM

HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]

ENTRYPOINT ["citybrain"]
CMD ["up", "--config", "/configs", "--data", "/data", "--host", "0.0.0.0", "--port", "8000"]
