#!/usr/bin/env bash
# Train a small model, then build it for a board within budgets of one's own.
set -euo pipefail
cd "$(dirname "$0")"
target="${1:-rpi4}"

python make_model.py
deployopt build --target "$target" --model ./machine.onnx --data ./machine.npz \
  --budget latency_p95=20ms --budget artifact_size=3MiB --budget accuracy_drop=1pt \
  --accept-predicted --output out/machine
