# Two images that hold nothing but one static program each, and an empty directory that
# belongs to who it runs as. `make images` compiles the programs and builds both; no
# other image is pulled, and nothing is fetched.
#
# /data belongs to 65532, so that a new named volume does as well; as XDG_DATA_HOME it is
# where both programs keep what they must not forget. PATH is for docker exec.

FROM scratch AS chordnode
COPY --chown=65532:65532 deploy/image /
COPY bin/chordnode /
ENV PATH=/ XDG_DATA_HOME=/data
USER 65532:65532
VOLUME /data
EXPOSE 8000 8000/udp 6969 6969/udp
HEALTHCHECK --interval=15s --timeout=6s --start-period=30s --retries=3 CMD ["/chordnode", "health"]
ENTRYPOINT ["/chordnode"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="chordnode" \
      org.opencontainers.image.description="A member of a chordtorrent ring: tracker, torrents and names, replicated" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="MPL-2.0"

FROM scratch AS btclient
COPY --chown=65532:65532 deploy/image /
COPY bin/btclient /
ENV PATH=/ XDG_DATA_HOME=/data
USER 65532:65532
VOLUME /data
# Peers come to a free port of 7001-7999, which is not known here.
EXPOSE 8780
HEALTHCHECK --interval=15s --timeout=6s --start-period=30s --retries=3 CMD ["/btclient", "health"]
ENTRYPOINT ["/btclient"]
CMD ["serve"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="btclient" \
      org.opencontainers.image.description="Publishes and downloads files by name in a chordtorrent ring" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="MPL-2.0"
