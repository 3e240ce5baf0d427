#!/usr/bin/env bash
# Build by deployopt.toml, leave the reports in out/, and pass the verdict on as the exit code.
set -euo pipefail
cd "$(dirname "$0")"

exec deployopt build --accept-predicted --quiet \
  --markdown out/summary.md --junit out/junit.xml \
  --metrics out/metrics.txt --code-quality out/code-quality.json
