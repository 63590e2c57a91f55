FROM node:20-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY build.js tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:20-slim
WORKDIR /opt/registryctl
COPY --from=build /src/node_modules ./node_modules
COPY --from=build /src/dist ./dist
COPY package.json ./
COPY bin ./bin
COPY config ./config
COPY templates ./templates
RUN ln -s /opt/registryctl/bin/registryctl.js /usr/local/bin/registryctl \
  && install --directory --owner=node --group=node /var/lib/registryctl

# The sample configuration reads these; mount a file of your own and name it in DOCKER_REGISTRY_CONFIG instead.
ENV NODE_ENV=production \
  SETTINGS_FLAVOR=local \
  REGISTRY_HOST=0.0.0.0 \
  REGISTRY_PORT=5000 \
  STORAGE_PATH=/var/lib/registryctl/storage \
  SEARCH_BACKEND=database \
  SQLALCHEMY_INDEX_DATABASE=sqlite:////var/lib/registryctl/search.db

USER node
WORKDIR /var/lib/registryctl
VOLUME /var/lib/registryctl
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.REGISTRY_PORT}/livez`).then(({ok}) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["registryctl"]
CMD ["serve"]
