#!/usr/bin/env bash
# Plan, then build, for a board of one's own.
set -euo pipefail
cd "$(dirname "$0")"

deployopt targets ./my-board.toml
deployopt plan --target ./my-board.toml --model demo-sentiment
deployopt build --target ./my-board.toml --model demo-sentiment --accept-predicted \
  --output out/demo-sentiment-my-board
