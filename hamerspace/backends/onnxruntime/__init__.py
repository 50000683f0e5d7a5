"""ONNX Runtime: fp32, static and dynamic int8, fp16."""
