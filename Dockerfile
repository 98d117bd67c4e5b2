# The `countersign` program on a small Debian, as a user without rights. Not run in our tests.
FROM rust:1.95-slim-trixie AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --profile dist --locked --all-features -p countersign-cli \
    && cp target/dist/countersign /countersign

FROM debian:trixie-slim
# The authorities that outgoing calls trust.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
# Volumes take over the owner of the folders that they are mounted on: compose.yaml uses those under /demo.
RUN useradd --system --uid 10001 countersign \
    && install -d -o countersign /etc/countersign /var/lib/countersign /demo/alice /demo/bob /demo/eve
COPY --from=build /countersign /usr/local/bin/countersign
USER countersign
WORKDIR /etc/countersign
ENTRYPOINT ["countersign"]
CMD ["serve"]
