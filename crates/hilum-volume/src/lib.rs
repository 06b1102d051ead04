//! Patient space and sampled volumes: geometry, voxels, label maps, resampling.
