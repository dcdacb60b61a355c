# The server with its dashboard in one image. The build stage does what `make build` does on a machine.
FROM rust:1.95-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends nodejs npm && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN make build

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates zlib1g && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin stockstream
COPY --from=build /build/target/release/stockstream /usr/local/bin/stockstream
COPY --from=build /build/target/site /usr/share/stockstream/site
ENV STOCKSTREAM_SITE_ROOT=/usr/share/stockstream/site STOCKSTREAM_LISTEN=0.0.0.0:8080
# by number: an orchestrator can check that it is not root
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["stockstream", "health", "--listen", "127.0.0.1:8080"]
ENTRYPOINT ["stockstream"]
CMD ["serve"]
