//! Small CT series made on the spot, and ways to damage them.

use std::sync::Arc;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::{FileDicomObject, InMemDicomObject};
use hilum_dicom::{CtSeriesDescription, Limits, Refusal, Series, Source, ct_images, load, scan};
use hilum_volume::{Geometry, PatientPoint, Volume};

/// A DICOM file in memory.
pub(crate) type File = Vec<u8>;

/// Twelve axial slices of 6 × 5, 2 mm apart, 0.7 × 0.6 mm.
pub(crate) fn axial() -> Geometry {
    Geometry::axial([12, 6, 5], PatientPoint([-20.0, -30.5, 100.25]), [2.0, 0.7, 0.6]).unwrap()
}

/// Every voxel another HU, from air on; slices differ in whole.
pub(crate) fn ramp(geometry: Geometry) -> Volume<i16> {
    let data = (0..geometry.len()).map(|n| (n * 7 % 3000) as i16 - 1000).collect();
    Volume::new(geometry, data).unwrap()
}

pub(crate) fn files(volume: &Volume<i16>, description: &CtSeriesDescription) -> Vec<File> {
    ct_images(volume, description).map(|image| image.unwrap().bytes).collect()
}

/// The files of [`ramp`] on [`axial`].
pub(crate) fn series() -> Vec<File> {
    files(&ramp(axial()), &CtSeriesDescription::default())
}

/// The file with its elements changed, written anew by dicom-rs.
pub(crate) fn edited(file: &File, change: impl FnOnce(&mut FileDicomObject<InMemDicomObject>)) -> File {
    let mut object = dicom_object::from_reader(&file[..]).unwrap();
    change(&mut object);
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).unwrap();
    bytes
}

/// The file with one text or number element replaced.
pub(crate) fn with(file: &File, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) -> File {
    edited(file, |object| {
        object.put(DataElement::new(tag, vr, value.into()));
    })
}

/// The file without an element.
pub(crate) fn without(file: &File, tag: Tag) -> File {
    edited(file, |object| {
        object.remove_element(tag);
    })
}

pub(crate) fn source(files: &[File]) -> Source {
    Source::Memory(files.iter().enumerate().map(|(n, f)| (format!("{n}"), Arc::from(&f[..]))).collect())
}

/// Loads the series with most images.
pub(crate) fn loaded(files: &[File]) -> Result<Series, Refusal> {
    loaded_from(&source(files))
}

pub(crate) fn loaded_from(source: &Source) -> Result<Series, Refusal> {
    let scan = scan(source, &Limits::default())?;
    scan.require_one_patient()?;
    load(&scan, &scan.series()[0].series_uid, &|_| ())
}

pub(crate) fn codes(series: &Series) -> Vec<&'static str> {
    series.notes.iter().map(hilum_dicom::Note::code).collect()
}
