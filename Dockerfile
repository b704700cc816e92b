# syntax=docker/dockerfile:1
# One image for both containers; deploy/base/deployment.yaml says which file each runs. `npm run image` builds it.
# scripts/image-contents.ts performs these very steps without a container engine, so keep to FROM, WORKDIR, COPY, RUN
# (with relative paths), ENV, USER, ENTRYPOINT and CMD. Nothing here is compiled for a machine, so the first two stages
# run on the builder's own.

FROM --platform=$BUILDPLATFORM node:24.21.0-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY processes ./processes
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY scripts/bundle.ts ./scripts/
COPY src ./src
# One file for each process, with what it loads of the packages in it (docs/decisions/0011).
RUN node scripts/bundle.ts

FROM --platform=$BUILDPLATFORM node:24.21.0-trixie-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
COPY processes ./processes
# What the processes need is a workspace (docs/decisions/0009); its own link leads nowhere in the image.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
# Half of the packages come with the Kubernetes client, which only kubeconfigs with an auth provider load, and no pod has
# one (docs/decisions/0002). What reads those says so where it is missing.
RUN npm uninstall --no-save --workspace processes --omit=dev --ignore-scripts --no-audit --no-fund @kubernetes/client-node
RUN rm node_modules/captcha-operator-processes
# Their code is in the bundles. What stays says what they are and under which licence, to scanners and to people.
RUN find node_modules ! -type d ! -name package.json ! -iname 'licen[cs]e*' ! -iname 'notice*' -delete && find node_modules -depth -type d -empty -delete

FROM node:24.21.0-trixie-slim
WORKDIR /app
ENV NODE_ENV=production
# Without it glibc keeps an arena of freed memory for each of Node's threads.
ENV MALLOC_ARENA_MAX=2
COPY LICENSE package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# The same number as in the manifests: nobody in particular. Kubernetes does the health checks.
USER 65532:65532
ENTRYPOINT ["node", "--max-semi-space-size=8", "--liftoff-only"]
CMD ["dist/bin/operator.js"]
