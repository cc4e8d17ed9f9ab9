# The services of slastream in one image: `docker build -t slastream:0.1.0 .`, then `docker run slastream:0.1.0 worker …`.
# Nothing is written below /: run it with `--read-only --tmpfs /tmp --cap-drop ALL`.
FROM python:3.11.13-slim-bookworm AS build
# hadolint ignore=DL3008  # the compiler stays in this stage, and Debian keeps one version of it at a time
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
# Every file is checked against its hash here; afterwards nothing comes from outside, and only what runs is installed.
COPY requirements.lock ./
RUN pip wheel --no-cache-dir --require-hashes --requirement requirements.lock --wheel-dir /wheels
COPY pyproject.toml README.md LICENSE ./
COPY slastream slastream
COPY topics topics
RUN pip install --no-cache-dir --no-index --find-links /wheels hatchling==1.* hatch-mypyc==0.* \
 && HATCH_BUILD_HOOK_ENABLE_MYPYC=1 pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /package . \
 && python -m venv /opt/slastream \
 && /opt/slastream/bin/pip install --no-cache-dir --no-index --find-links /wheels /package/*.whl

FROM python:3.11.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home slastream
COPY --from=build /opt/slastream /opt/slastream
ENV PATH=/opt/slastream/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["slastream"]
CMD ["--help"]
