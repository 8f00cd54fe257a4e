# The server with its private Valkey inside. Slim Debian, not Alpine: the packaged Valkey needs glibc.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev  # for the native sender
COPY pyproject.toml hatch_build.py constraints.txt README.md LICENSE ./
COPY protocol protocol
COPY liveserver liveserver
COPY loadtest loadtest
RUN python -m venv /opt/liveserver \
 && /opt/liveserver/bin/pip install --no-cache-dir -c constraints.txt '.[server]'

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /data liveserver
COPY --from=build /opt/liveserver /opt/liveserver
USER liveserver
WORKDIR /data
VOLUME /data
EXPOSE 8080
ENV PATH=/opt/liveserver/bin:$PATH PYTHONUNBUFFERED=1
# Draining takes a few seconds: give it more than Docker's ten with `--stop-timeout 20` on busy nights.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD \
  python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"
CMD ["liveserver", "serve", "--host", "0.0.0.0", "--port", "8080", "--data-dir", "/data"]
