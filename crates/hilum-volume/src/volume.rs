//! Voxels on a grid.

use crate::{Geometry, GeometryError, VoxelIndex};

/// Voxels of type `T` on a [`Geometry`], ordered `[slice, row, column]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume<T> {
    geometry: Geometry,
    data: Vec<T>,
}

/// One truth value per voxel.
pub type Mask = Volume<bool>;

/// One label per voxel, 0 being background. A separate type so that labels cannot be interpolated by mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelMap(Volume<u8>);

/// Why voxels and grid do not fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// The number of voxels is not that of the grid.
    #[error("a grid of {expected} voxels was given {actual}")]
    Length {
        /// Voxels of the grid.
        expected: usize,
        /// Voxels given.
        actual: usize,
    },
}

impl<T> Volume<T> {
    /// Voxels `data` in the order `[slice, row, column]` on `geometry`.
    ///
    /// # Errors
    /// [`VolumeError::Length`] if there are more or fewer voxels than the grid has.
    pub fn new(geometry: Geometry, data: Vec<T>) -> Result<Self, VolumeError> {
        if data.len() == geometry.len() {
            Ok(Self { geometry, data })
        } else {
            Err(VolumeError::Length { expected: geometry.len(), actual: data.len() })
        }
    }

    /// The grid.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Slices, rows, columns.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.geometry.shape()
    }

    /// All voxels, `[slice, row, column]`.
    #[must_use]
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// All voxels, to change.
    #[must_use]
    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// The voxels, without the grid.
    #[must_use]
    pub fn into_data(self) -> Vec<T> {
        self.data
    }

    /// One slice, `[row, column]`.
    ///
    /// # Panics
    /// If there is no such slice.
    #[must_use]
    pub fn slice(&self, slice: usize) -> &[T] {
        let n = self.shape()[1] * self.shape()[2];
        &self.data[slice * n..(slice + 1) * n]
    }

    /// One slice to change, `[row, column]`.
    ///
    /// # Panics
    /// If there is no such slice.
    #[must_use]
    pub fn slice_mut(&mut self, slice: usize) -> &mut [T] {
        let n = self.shape()[1] * self.shape()[2];
        &mut self.data[slice * n..(slice + 1) * n]
    }

    /// Every voxel through `f`, on the same grid.
    #[must_use]
    pub fn map<U>(&self, f: impl FnMut(&T) -> U) -> Volume<U> {
        Volume { geometry: self.geometry.clone(), data: self.data.iter().map(f).collect() }
    }
}

impl<T: Clone> Volume<T> {
    /// A volume of one value.
    #[must_use]
    pub fn filled(geometry: Geometry, value: T) -> Self {
        let data = vec![value; geometry.len()];
        Self { geometry, data }
    }
}

impl<T: Copy> Volume<T> {
    /// The part of the volume that starts at `start` and has `shape` voxels; every voxel keeps its patient position.
    ///
    /// # Errors
    /// [`GeometryError::Empty`] if the box is empty or reaches outside.
    pub fn crop(&self, start: VoxelIndex, shape: [usize; 3]) -> Result<Self, GeometryError> {
        let geometry = self.geometry.crop(start, shape)?;
        let mut data = Vec::with_capacity(geometry.len());
        for s in start[0]..start[0] + shape[0] {
            for r in start[1]..start[1] + shape[1] {
                let at = self.geometry.offset([s, r, start[2]]);
                data.extend_from_slice(&self.data[at..at + shape[2]]);
            }
        }
        Ok(Self { geometry, data })
    }

    /// Overwrites the box that starts at `start` with the voxels of `part`, the way back from [`Volume::crop`].
    ///
    /// # Errors
    /// [`GeometryError::Empty`] if the box reaches outside; the volume is then unchanged.
    pub fn paste(&mut self, start: VoxelIndex, part: &Self) -> Result<(), GeometryError> {
        let shape = part.shape();
        self.geometry.crop(start, shape)?;
        for (line, values) in part.data.chunks(shape[2]).enumerate() {
            let at = self.geometry.offset([start[0] + line / shape[1], start[1] + line % shape[1], start[2]]);
            self.data[at..at + shape[2]].copy_from_slice(values);
        }
        Ok(())
    }
}

impl<T> std::ops::Index<VoxelIndex> for Volume<T> {
    type Output = T;

    fn index(&self, index: VoxelIndex) -> &T {
        &self.data[self.geometry.offset(index)]
    }
}

impl<T> std::ops::IndexMut<VoxelIndex> for Volume<T> {
    fn index_mut(&mut self, index: VoxelIndex) -> &mut T {
        let at = self.geometry.offset(index);
        &mut self.data[at]
    }
}

impl Mask {
    /// Number of true voxels.
    #[must_use]
    pub fn count(&self) -> usize {
        self.data.iter().filter(|v| **v).count()
    }

    /// Volume of the true voxels in millilitres.
    #[must_use]
    pub fn volume_ml(&self) -> f64 {
        self.count() as f64 * self.geometry.voxel_volume_mm3() / 1000.0
    }
}

impl LabelMap {
    /// Labels on a grid.
    #[must_use]
    pub fn new(labels: Volume<u8>) -> Self {
        Self(labels)
    }

    /// The labels as a volume.
    #[must_use]
    pub fn labels(&self) -> &Volume<u8> {
        &self.0
    }

    /// The labels as a volume, to change.
    #[must_use]
    pub fn labels_mut(&mut self) -> &mut Volume<u8> {
        &mut self.0
    }

    /// The grid.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        self.0.geometry()
    }

    /// The labels as a volume, without the protection of this type.
    #[must_use]
    pub fn into_labels(self) -> Volume<u8> {
        self.0
    }

    /// The part of the map that starts at `start` and has `shape` voxels.
    ///
    /// # Errors
    /// [`GeometryError::Empty`] if the box is empty or reaches outside.
    pub fn crop(&self, start: VoxelIndex, shape: [usize; 3]) -> Result<Self, GeometryError> {
        self.0.crop(start, shape).map(Self)
    }

    /// Where the label is `label`.
    #[must_use]
    pub fn mask_of(&self, label: u8) -> Mask {
        self.0.map(|l| *l == label)
    }

    /// Volume of one label in millilitres.
    #[must_use]
    pub fn volume_ml(&self, label: u8) -> f64 {
        self.0.data().iter().filter(|l| **l == label).count() as f64 * self.geometry().voxel_volume_mm3() / 1000.0
    }
}
