# The node alone, for a ClickHouse server elsewhere (docker-compose.yml starts one).
# `millrace olap` needs libchdb besides, which this image does not carry.
FROM debian:bookworm-slim AS build
WORKDIR /millrace
COPY tools/install-deps tools/fetch-libchdb tools/
RUN tools/install-deps build && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release \
    && ninja -C build millrace \
    && strip build/millrace

FROM debian:bookworm-slim
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends ca-certificates libcaf-core0.17 libboost-json1.81.0 \
       libcurl4 libfmt9 liblz4-1 libpq5 libspdlog1.10 libzstd1 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --shell /usr/sbin/nologin millrace
COPY --from=build /millrace/build/millrace /usr/local/bin/millrace
COPY --from=build /millrace/conf/millrace.conf /usr/local/share/millrace/millrace.conf
USER millrace
EXPOSE 9470
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/millrace"]
CMD ["run", "--config-file", "/etc/millrace/millrace.conf"]
