"""ONNX graphs: safe reading, counting, rewriting."""
