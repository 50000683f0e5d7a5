"""Apache TVM: ONNX models compiled ahead of time, in a tool environment of their own."""
