# The root file system of the managed plugin; `npm run plugin:build` makes it ready for `docker plugin create`.

FROM node:24-trixie-slim AS build
WORKDIR /weft
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY plugin/bundle.ts plugin/
COPY src src
RUN node plugin/bundle.ts

FROM node:24-trixie-slim
# iptables has both backends, and weft takes the one that dockerd uses; etcd serves a lone host. Every host stores
# a copy of this file system, so what nothing here runs or reads is removed: npm, headers, the perl of package
# scripts, character sets, etcd's own tool.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends etcd-server iptables nftables \
 && rm -rf \
      /opt/yarn* \
      /usr/bin/etcdutl \
      /usr/bin/perl* /usr/lib/*/perl-base \
      /usr/lib/*/gconv \
      /usr/local/include /usr/local/lib/node_modules /usr/local/share/doc /usr/local/share/man \
      /usr/share/doc /usr/share/info /usr/share/locale /usr/share/man \
      /var/cache/* /var/lib/apt/lists/* /var/log/*
COPY --from=build /weft/dist /opt/weft
# One start, for its compiled code: Docker looks for the socket of a plugin after 0.5 s, and again after 3 s more.
RUN NODE_COMPILE_CACHE=/var/cache/weft WEFT_RUN_DIR=/tmp/weft WEFT_STATE_DIR=/tmp/weft \
      WEFT_ETCD_ENDPOINTS=http://127.0.0.1:2379 timeout --preserve-status 3 node /opt/weft/weft.js \
 && rm -r /tmp/weft
CMD ["node", "/opt/weft/weft.js"]
