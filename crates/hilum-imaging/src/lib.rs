//! Image-analysis kernels on volumes: morphology, components, distance, sheetness, projections.
