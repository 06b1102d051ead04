//! How much foreign bytes may ask for before anything is allocated.

/// Limits on what one input may occupy. Everything that a file declares about itself is checked against these, and
/// against the bytes that are really there, before memory is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Voxels of one volume. Default: 2 048 slices of 512 × 512, 1 GiB as 16-bit numbers.
    pub max_voxels: usize,
    /// Rows or columns of one image. Default: 4 096.
    pub max_side: usize,
    /// Bytes of one file, or of one entry of a ZIP once unpacked. Default: 2 GiB.
    pub max_file_bytes: u64,
    /// Bytes of all files of one input together, ZIP entries unpacked. Default: 16 GiB.
    pub max_total_bytes: u64,
    /// Files in one input. Default: 100 000.
    pub max_files: usize,
    /// Depth of folders below the input folder. Default: 32.
    pub max_folder_depth: usize,
    /// How many times larger a ZIP entry may be than its packed bytes. Default: 200; zeros pack about 1 000-fold, CT
    /// two- to threefold.
    pub max_unpack_ratio: u64,
    /// Elements in one DICOM file, those in sequences counted too. Default: 1 000 000.
    pub max_elements: usize,
    /// Nesting of DICOM sequences. Default: 16; Enhanced CT uses 4.
    pub max_sequence_depth: usize,
    /// Bytes of one DICOM element other than pixel data. Default: 64 MiB.
    pub max_element_bytes: u64,
    /// Bytes of the values of one object when they are listed as text. Default: 256 MiB; the outlines of 250 slices have 8.
    pub max_listed_bytes: usize,
    /// Bytes of one structured report, inflated. Default: 64 MiB; a report that names 1 000 images has less than one.
    pub max_report_bytes: u64,
    /// Content items of one structured report, with the objects it names. Default: 200 000.
    pub max_content_items: usize,
    /// Bytes of one text of a structured report. Default: 1 MiB.
    pub max_text_bytes: usize,
    /// Processes in which JPEG, JPEG-LS and JPEG 2000 are decoded. Default: none, they are decoded here.
    pub decoders: Option<crate::DecodeWorkers>,
}

impl Limits {
    /// The same for one series or object of so many pixels: its decoders have a limited time for all of it.
    pub(crate) fn for_series(&self, pixels: u64) -> Self {
        Self { decoders: self.decoders.as_ref().map(|workers| workers.for_series(pixels)), ..self.clone() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_voxels: 2048 * 512 * 512,
            max_side: 4096,
            max_file_bytes: 2 << 30,
            max_total_bytes: 16 << 30,
            max_files: 100_000,
            max_folder_depth: 32,
            max_unpack_ratio: 200,
            max_elements: 1_000_000,
            max_sequence_depth: 16,
            max_element_bytes: 64 << 20,
            max_listed_bytes: 256 << 20,
            max_report_bytes: 64 << 20,
            max_content_items: 200_000,
            max_text_bytes: 1 << 20,
            decoders: None,
        }
    }
}
