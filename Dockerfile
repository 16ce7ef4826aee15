# Both programs, static, in an image that holds nothing else. scripts/compose-demo.sh
# compiles them into bin/ first; no other image is pulled.
FROM scratch
COPY --chown=65532:65532 deploy/empty /data
COPY bin/chordnode bin/btclient /usr/bin/
USER 65532:65532
VOLUME /data
ENV BTCLIENT_STORAGE=/data/Storage PATH=/usr/bin
