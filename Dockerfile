# bidsface as a BIDS App:
#   docker build -t bidsface .
#   docker run --rm --user "$(id -u):$(id -g)" --network none \
#     -v /path/to/bids:/data:ro -v /path/to/output:/out bidsface /data /out participant group
#
# Build arguments:
#   EXTRAS               optional dependencies of the distribution to install, separated by commas
#   PIP_EXTRA_INDEX_URL  a second package index. An extra that brings torch should get its CPU
#                        build, which is 2 GB smaller and stands in an index of its own:
#                        --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
#   VERSION              written into the labels and into GeneratedBy of every output data set

FROM python:3.12-slim-bookworm AS builder
ARG EXTRAS=dask
ARG PIP_EXTRA_INDEX_URL
COPY pyproject.toml README.md LICENSE /src/
COPY bidsface /src/bidsface
COPY plugins /src/plugins
RUN --mount=type=cache,target=/root/.cache/pip \
    pip wheel --quiet --no-deps --wheel-dir /wheels /src \
    && python -m venv --without-pip /opt/bidsface \
    && pip --python /opt/bidsface/bin/python install --quiet --no-compile \
       "$(ls /wheels/*.whl)${EXTRAS:+[${EXTRAS}]}"
# The packages' own test suites are dropped. Byte code is compiled here because nobody can write
# it later, and unchecked because copying an image may change the times of the sources.
RUN find /opt/bidsface/lib -type d -name tests -prune -exec rm -r {} + \
    && /opt/bidsface/bin/python -m compileall -q --invalidation-mode unchecked-hash \
       /opt/bidsface/lib

FROM python:3.12-slim-bookworm
# The base image ships the standard library without byte code: every start would compile it anew.
RUN python -m compileall -q --invalidation-mode unchecked-hash -x site-packages \
    "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=builder /opt/bidsface /opt/bidsface
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="bidsface" \
      org.opencontainers.image.description="BIDS App for the neuroscience of facial expression" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="BSD-3-Clause"
# Matplotlib and numba (of the extra cnn) insist on folders that they can write to; /tmp is the only
# one that any user has.
ENV PATH="/opt/bidsface/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    MPLCONFIGDIR=/tmp/bidsface-matplotlib \
    NUMBA_CACHE_DIR=/tmp/bidsface-numba \
    BIDSFACE_CONTAINER_TYPE=docker \
    BIDSFACE_CONTAINER_TAG="bidsface:${VERSION}"
WORKDIR /tmp
ENTRYPOINT ["bidsface"]
