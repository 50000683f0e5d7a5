"""OpenVINO with NNCF: f32 and bf16, int8, weights in int8 or int4."""
