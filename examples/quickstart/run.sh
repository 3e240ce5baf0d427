#!/usr/bin/env bash
# Build demo-sentiment for a target (rpi4 by default), then predict with the bundle.
set -euo pipefail
cd "$(dirname "$0")"
target="${1:-rpi4}"
plain="out/demo-sentiment-$target"
rm -rf "$plain" "$plain".*

code=0
deployopt build --target "$target" --model demo-sentiment --accept-predicted \
  --output "$plain" || code=$?

# The folder's name says what the verdict was: only an accepted bundle has the plain one.
for bundle in "$plain" "$plain.provisional" "$plain.undecided"; do
  if [ -d "$bundle" ]; then
    deployopt run "$bundle" "a warm, funny, engaging film" "flat, dull and far too long"
    break
  fi
done
exit "$code"
