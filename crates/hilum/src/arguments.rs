//! What can be asked of `hilum`, and how its help reads.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hilum_train::{Arithmetic, TrainDevice};

/// An AI reading room for chest CT, on your own machine. Research use only, not a medical device.
#[derive(Parser)]
#[command(
    name = "hilum",
    version,
    after_help = "Exit codes: 0 done; 1 a fault of Hilum; 2 wrong usage; 3 input refused, the reason is on standard error."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// How much is said while working.
#[derive(Args)]
pub(crate) struct OutputArguments {
    /// Say nothing but errors
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// Report progress on standard error as one JSON object per line: {"stage":…,"fraction":…}
    #[arg(long, global = true, conflicts_with = "quiet")]
    pub(crate) json_progress: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Read a chest CT: findings, report, pictures and label maps
    Analyze(AnalyzeArguments),
    /// Make a phantom chest CT, analyse it and say where the report is
    Demo(DemoArguments),
    /// Write a phantom chest CT as DICOM, with its known answers
    Phantom(PhantomArguments),
    /// Train a model from a configuration file
    Train(TrainArguments),
    /// Measure a model on a labelled data set
    Evaluate(EvaluateArguments),
    /// List, inspect, verify, import and export models
    Models(ModelsArguments),
    /// Everyday work on DICOM files: look, check, convert, send, query, retrieve, de-identify
    Dicom(crate::dicom::DicomArguments),
    /// Print the JSON Schema of what Hilum writes
    Schema(SchemaArguments),
    /// Say what this machine has and lacks
    Doctor(DoctorArguments),
    /// Decode frames for another process of Hilum
    #[command(hide = true)]
    DecodeWorker,
}

#[derive(Args)]
#[command(
    after_help = "DIR receives findings.json, report.html, report.pdf, labels.nii.gz, pictures/*.png, dicom/*.dcm and ct-2mm.nii.gz \
    (for a later --prior); with --prior also masks/change.nii.gz (1 new, 2 persisting, 3 resolved) and masks/prior-lesions.nii.gz \
    (the earlier opacities on this study's grid). Files of these names that are there are replaced; others stay.\n\
    Labels: 1-5 right upper, middle, lower, left upper, lower lobe; 11 ground-glass, 12 consolidation, 13 opacity of unknown kind."
)]
pub(crate) struct AnalyzeArguments {
    /// A folder of DICOM files (searched recursively), one file, a ZIP, or a NIfTI in HU
    pub(crate) input: PathBuf,
    /// Where to write; made if absent
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The series to read, by its Series Instance UID; otherwise the most suitable one is chosen and named
    #[arg(long, value_name = "UID")]
    pub(crate) series: Option<String>,
    /// An earlier study of the same patient to compare with, in any of the forms of INPUT, or an earlier result folder of
    /// `hilum analyze`; may be given several times: the newest is compared voxel by voxel, all make up the trend
    #[arg(long, value_name = "PRIOR")]
    pub(crate) prior: Vec<PathBuf>,
    /// Compare although the Patient IDs differ: the patient was renamed, or has another hospital's number
    #[arg(long, requires = "prior")]
    pub(crate) other_patient_id: bool,
    /// Language of the report: en English, de German, fr French, es Spanish; notes and definitions stay English
    #[arg(long, value_name = "CODE", default_value = "en")]
    pub(crate) language: String,
    /// Model card of the lesion network, or the name of a model (`hilum models list`); otherwise pneumonia-ct
    #[arg(long, value_name = "CARD|NAME")]
    pub(crate) model: Option<PathBuf>,
    /// Threads to use; 0 or nothing for all cores
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) results: crate::dicom_results::ResultArguments,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
}

/// What computes the network.
#[derive(Args)]
pub(crate) struct DeviceArguments {
    /// What computes the network
    #[arg(long, value_enum, default_value_t = Device::Hilum)]
    pub(crate) device: Device,
    /// The numbers that convolutions compute with
    #[arg(long, value_enum, default_value_t = PrecisionChoice::Auto)]
    pub(crate) precision: PrecisionChoice,
    #[command(flatten)]
    pub(crate) library: LibraryArguments,
}

/// Where ONNX Runtime is.
#[derive(Args)]
pub(crate) struct LibraryArguments {
    /// The library of ONNX Runtime; otherwise the one that ORT_DYLIB_PATH names, otherwise the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) onnxruntime: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionChoice {
    /// int8 where the model's card says that it costs no Dice and the processor has it, otherwise f32
    Auto,
    /// 32-bit floating point
    F32,
    /// 16-bit floating point; slower than f32 for most networks, which saves multiplications instead
    Bf16,
    /// 8-bit integers; needs ranges in the model's card (`hilum models quantise`)
    Int8,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Device {
    /// Our own engine on this processor
    Hilum,
    /// ONNX Runtime on this processor
    Cpu,
    /// ONNX Runtime on an NVIDIA GPU, through CUDA
    Cuda,
    /// ONNX Runtime on an NVIDIA GPU, through TensorRT
    #[value(name = "tensorrt")]
    TensorRt,
}

#[derive(Args)]
pub(crate) struct DemoArguments {
    /// Where to write; made if absent
    #[arg(long, value_name = "DIR", default_value = "demo")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct PhantomArguments {
    /// Where to write; made if absent
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    pub(crate) out: Option<PathBuf>,
    /// How the same anatomy is scanned, or which unfit input is made
    #[arg(long, value_name = "NAME", default_value = "standard")]
    pub(crate) variant: String,
    /// Which lesions the lungs hold
    #[arg(long, value_name = "NAME", default_value = "covid")]
    pub(crate) lesions: String,
    /// Seed of anatomy and noise
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// List the variants and lesion presets and stop
    #[arg(long)]
    pub(crate) list: bool,
}

#[derive(Args)]
pub(crate) struct TrainArguments {
    /// The configuration, a TOML file; models/pneumonia-ct/train.toml is one
    pub(crate) config: PathBuf,
    /// The fold of `split.folds` to hold out, counted from 0
    #[arg(long, value_name = "K")]
    pub(crate) fold: Option<usize>,
    /// The run folder: configuration, checkpoints, curves and at the end the model; a run found there is resumed
    #[arg(long, value_name = "DIR", default_value = "runs/latest")]
    pub(crate) out: PathBuf,
    /// Do everything but learn: check configuration and split, prepare the slices, make some batches, say how fast
    #[arg(long)]
    pub(crate) rehearse: bool,
    /// Where prepared slices are kept, which several runs may share; otherwise in the run folder
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Threads to use; 0 or nothing for all cores
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// What computes: cpu (our own kernels), or a graphics card through wgpu or cuda in builds with that feature
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: TrainDevice,
    /// What convolutions multiply: f32, or on a card bf16 or f16 (mixed precision; all else stays f32)
    #[arg(long, value_name = "NUMBERS", default_value = "f32")]
    pub(crate) arithmetic: Arithmetic,
    /// Cards to train on at once, each with one of a step's batches: `accumulate` of the configuration is a multiple of it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) cards: usize,
}

#[derive(Args)]
pub(crate) struct EvaluateArguments {
    /// The data set's folder: NIfTI pairs NAME_image.nii.gz and NAME_labels.nii.gz; pictures images/NAME.png and
    /// masks/NAME.png; a folder per patient with a CT series and its DICOM segmentations; or as published, COVID-19-CT-Seg
    /// (with volumes.csv), COVID-SemiSeg (with GT_multiclass), or whole scans with slice_labels.csv
    pub(crate) dataset: PathBuf,
    /// Model card, or the name of a model (`hilum models list`); otherwise pneumonia-ct
    #[arg(long, value_name = "CARD|NAME")]
    pub(crate) model: Option<PathBuf>,
    /// Training configuration whose held-out patients are measured; otherwise all patients
    #[arg(long, value_name = "FILE")]
    pub(crate) split: Option<PathBuf>,
    /// Compare with this model on the same patients: paired differences with interval and an exact test
    #[arg(long, value_name = "CARD|NAME", conflicts_with = "folds")]
    pub(crate) against: Option<PathBuf>,
    /// Cross-validation: run folders of `hilum train --fold`, each measured on the patients it held out, put together
    #[arg(long, value_name = "RUN", num_args = 1.., conflicts_with_all = ["model", "split"])]
    pub(crate) folds: Vec<PathBuf>,
    /// What goes before the names of patients; otherwise what the configuration of --split or --folds says of a folder of
    /// this name
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,
    /// Scans that are stored with the patient's back up (`NAME`, or `START*`); otherwise those that the configuration of
    /// --split or --folds says of a folder of this name
    #[arg(long, value_name = "SCAN", num_args = 1..)]
    pub(crate) upside_down: Vec<String>,
    /// Show the network the mirror image of every slice too and take the mean: twice the time
    #[arg(long)]
    pub(crate) mirror: bool,
    /// Also write the result as JSON
    #[arg(long, value_name = "FILE.json")]
    pub(crate) out: Option<PathBuf>,
    /// Also write the results into this model card, which must be that of the measured model, and into CARD.md beside it
    #[arg(long, value_name = "CARD")]
    pub(crate) into: Option<PathBuf>,
    /// Also draw it: SVG files of Dice by patient, ROC, Bland-Altman and reliability
    #[arg(long, value_name = "FOLDER")]
    pub(crate) plots: Option<PathBuf>,
    /// Threads to use; 0 or nothing for all cores
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
}

#[derive(Args)]
pub(crate) struct ModelsArguments {
    #[command(subcommand)]
    pub(crate) action: ModelsAction,
}

#[derive(Subcommand)]
pub(crate) enum ModelsAction {
    /// Models that are built in or installed
    List,
    /// One model's card
    Show {
        /// Its name
        name: String,
    },
    /// Check weights against the hashes in their cards
    Verify {
        /// Its name; otherwise all
        name: Option<String>,
    },
    /// Install a model from its card, after checking its weights
    Import {
        /// The card; the weights lie beside it
        card: PathBuf,
    },
    /// Measure what 8-bit convolutions would do to a model, and write it into its card
    ///
    /// Ranges are taken from the training patients of the split, the change of Dice from those held out. Where no mean Dice
    /// moves by more than 0.001, 8-bit convolutions are from then on the default on processors that have them.
    Quantise {
        /// The card; the weights lie beside it
        card: PathBuf,
        /// The labelled data set
        #[arg(long, value_name = "FOLDER")]
        data: PathBuf,
        /// Training configuration that says who was held out
        #[arg(long, value_name = "FILE")]
        split: PathBuf,
        /// Threads to use; otherwise all cores
        #[arg(long, value_name = "N")]
        threads: Option<usize>,
    },
    /// Measure how far a model can be believed, and write it into its card and weights
    ///
    /// From the training patients of its configuration: what scans look like that it knows, so that others are told. From what
    /// `hilum evaluate --out` wrote, of patients it did not learn from: the interval of lesion volumes and the probability of
    /// lesion in a slice. For a model that learned from everybody, that of the folds of the same configuration.
    Calibrate {
        /// The card; the weights lie beside it, and both are written anew
        card: PathBuf,
        /// Training configuration of the model
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Evaluations; the first that has the interval, and the first that has the probability of slices, are taken
        #[arg(long, value_name = "FILE.json", num_args = 1.., required = true)]
        evaluated: Vec<PathBuf>,
        /// Who was measured, in words for the card
        #[arg(long, value_name = "TEXT")]
        measured_on: String,
        /// Where prepared slices are kept; otherwise a temporary folder
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
        /// Threads to use; otherwise all cores
        #[arg(long, value_name = "N")]
        threads: Option<usize>,
    },
    /// Write a model's card and weights into a folder, or all of it as one ONNX file
    Export {
        /// Its name
        name: String,
        /// Folder for card and weights; made if absent
        #[arg(long, value_name = "DIR", required_unless_present = "onnx")]
        out: Option<PathBuf>,
        /// ONNX file for the network with its weights; the card goes into its metadata
        #[arg(long, value_name = "FILE.onnx")]
        onnx: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct SchemaArguments {
    /// Of what
    #[arg(value_enum)]
    pub(crate) of: SchemaOf,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum SchemaOf {
    /// findings.json
    Findings,
}

#[derive(Args)]
pub(crate) struct DoctorArguments {
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) library: LibraryArguments,
}
