//! The generic ONNX engine, over tract.
