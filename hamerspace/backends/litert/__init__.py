"""LiteRT, TensorFlow's runtime for devices: float32, dynamic and static int8, int4, fp16."""
