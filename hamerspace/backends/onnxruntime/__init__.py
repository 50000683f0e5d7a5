"""ONNX Runtime: fp32, int8 static and dynamic, weights in 8 or 4 bits, fp16."""
