#!/usr/bin/env bash
# Build the digits' classifier for a target (x86-cpu by default), then ask the bundle.
set -euo pipefail
cd "$(dirname "$0")"
target="${1:-x86-cpu}"
plain="out/digits-$target"
rm -rf "$plain" "$plain".*

code=0
deployopt build --target "$target" --model . --data data/judge --budget accuracy_drop=2pt \
  --accept-predicted --output "$plain" || code=$?

# The folder's name says what the verdict was: only an accepted bundle has the plain one.
for bundle in "$plain" "$plain.provisional" "$plain.undecided"; do
  if [ -d "$bundle" ]; then
    deployopt run "$bundle" data/judge/7/*0.png
    break
  fi
done
exit "$code"
