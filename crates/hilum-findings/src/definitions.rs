//! The meaning of each number, as it goes into the findings.

use crate::clinical as c;
use crate::{Definition, KindMethod};

/// What every number means and where it comes from, in the order a report shows them.
#[must_use]
pub fn definitions() -> Vec<Definition> {
    const CHAGANTI: &str = "Chaganti et al., Radiol Artif Intell 2020, doi 10.1148/ryai.2020200048";
    let [lss1, lss2, lss3] = c::LSS_UP_TO_PERCENT;
    let [ctss2, ctss3, ctss4] = c::CTSS_UP_TO_PERCENT;
    let [ct1, ct2, ct3] = c::CT_SEVERITY_PERCENT;
    let [hyper, normal, poor] = c::AERATION_LIMITS_HU;
    let minimal = c::CTSS_MINIMAL_BELOW_PERCENT;
    let high = c::HIGH_OPACITY_FROM_HU;
    vec![
        define(
            "lesions.percent_of_lung",
            "Percentage of opacity (PO)",
            "100 × volume of opacities / volume of the lungs.",
            CHAGANTI,
        ),
        define(
            "lesions.percent_high_opacity",
            "Percentage of high opacity (PHO)",
            format!("100 × volume of opacities of {high} HU and above / volume of the lungs."),
            CHAGANTI,
        ),
        define(
            "scores.ctss_0_25",
            "CT severity score (CTSS)",
            format!(
                "Per lobe 0: none; 1: below {minimal} %; 2: {minimal}–{ctss2} %; 3: to {ctss3} %; 4: to {ctss4} %; 5: above. \
                 Sum over five lobes, 0–25. Percentages are not rounded; exactly {ctss3} % scores 3 (4 in the source)."
            ),
            "Pan et al., Radiology 2020, doi 10.1148/radiol.2020200370",
        ),
        define(
            "scores.lss_0_20",
            "Lung severity score (LSS)",
            format!(
                "Per lobe, from PO, 0: none; 1: to {lss1} %; 2: to {lss2} %; 3: to {lss3} %; 4: above. Sum over five lobes, \
                 0–20. Percentages are not rounded; any opacity scores at least 1."
            ),
            CHAGANTI,
        ),
        define("scores.lhos_0_20", "Lung high opacity score (LHOS)", "As LSS, from PHO.", CHAGANTI),
        define(
            "scores.severity_ct_0_4",
            "CT-0 to CT-4",
            format!(
                "By the more involved lung: CT-0 none; CT-1 below {ct1} %; CT-2 {ct1}–{ct2} %; CT-3 to {ct3} %; CT-4 above."
            ),
            "Morozov et al. (MosMedData), arXiv 2005.06465",
        ),
        assume(
            "scores.co_rads.grade",
            "Suggested CO-RADS grade",
            format!(
                "Computed from extent, sides, foci, distance from the outer surface of the lung and share of ground-glass. A \
                 suggestion for the reader, no diagnosis. Tree-in-bud, crazy paving, cavities, nodules and fibrosis are not \
                 recognised; grade 6 (positive test) is never given, and none above 3 where slices lie {} mm or more apart. The \
                 numbers behind words such as peripheral are assumptions.",
                c::THICK_SLICES_FROM_MM
            ),
            Some("Prokop et al., Radiology 2020, doi 10.1148/radiol.2020201473"),
        ),
        assume(
            "lesions.components",
            "Components",
            format!(
                "Voxels of one lung that touch by face, edge or corner, whatever their kind. Listed from {} ml on; smaller \
                 ones count in all volumes and percentages. Of one kind if {:.0} % of the volume are, else mixed.",
                c::LISTED_FROM_ML,
                100.0 * c::KIND_SHARE
            ),
            None,
        ),
        assume(
            "lesions.distribution",
            "Distribution",
            format!(
                "Bilateral: the less involved lung holds a listed component and at least {:.0} % of the lesion volume. \
                 Multifocal: at least two components of {} ml. Peripheral: within {} mm of the chest wall or diaphragm.",
                100.0 * c::BILATERAL_FROM_SHARE,
                c::FOCUS_FROM_ML,
                c::PERIPHERAL_DEPTH_MM
            ),
            None,
        ),
        define(
            "anatomy.aeration",
            "Aeration of the lung",
            format!(
                "Percentage of the lung volume, opacities included: hyperinflated below {hyper} HU, normal to below {normal} \
                 HU, poor to below {poor} HU, none from {poor} HU on."
            ),
            "Gattinoni et al., Am J Respir Crit Care Med 2001;164:1701, doi 10.1164/ajrccm.164.9.2103121",
        ),
        define(
            "anatomy.aeration.emphysema_laa_950_percent",
            "Low attenuation area (LAA-950)",
            format!(
                "Percentage of the lung volume below {} HU; stands for emphysema on thin slices in full inspiration only.",
                c::EMPHYSEMA_BELOW_HU
            ),
            "Gevenois et al., Am J Respir Crit Care Med 1995;152:653, doi 10.1164/ajrccm.152.2.7633722",
        ),
        define(
            "anatomy.aeration.well_aerated_percent",
            "Well-aerated lung",
            format!(
                "Percentage of the lung volume from {} to below {} HU.",
                c::WELL_AERATED_HU[0],
                c::WELL_AERATED_HU[1]
            ),
            "Colombi et al., Radiology 2020, doi 10.1148/radiol.2020201433",
        ),
        assume(
            "classification.decision",
            "Called normal",
            "Lungs that are wholly in the scan, in images that can be relied on, without an opacity of relevant size (CO-RADS 1). By \
             rule, not by a classifier: emphysema, nodules, fibrosis and what lies outside of the lungs were not looked for. No kind \
             of pneumonia is decided for.",
            None,
        ),
        assume(
            "triage.priority",
            "Priority",
            format!(
                "Urgent: CT-3 or CT-4, CTSS of {} or more (Francone et al., Eur Radiol 2020, doi 10.1007/s00330-020-07033-y), or \
                 PO of {} % or more. Soon: CT-2, suggested CO-RADS 4 or 5, or a large part of the lungs outside the scan. \
                 Routine: everything else. A rule of ours to order a worklist.",
                c::URGENT_FROM_CTSS,
                c::URGENT_FROM_PERCENT
            ),
            None,
        ),
        assume(
            "quality.reasons",
            "Plausible lung volume",
            format!(
                "Lungs of less than {:.1} l or more than {:.0} l are remarked upon.",
                c::PLAUSIBLE_LUNG_ML[0] / 1000.0,
                c::PLAUSIBLE_LUNG_ML[1] / 1000.0
            ),
            Some("Hall et al., Eur Respir J 2021, doi 10.1183/13993003.00289-2020"),
        ),
    ]
}

/// What the numbers of a follow-up mean; in findings that have one.
#[must_use]
pub(crate) fn follow_up_definitions() -> Vec<Definition> {
    vec![
        assume(
            "follow_up.comparison.lesions[].trend",
            "Growth of an opacity",
            format!(
                "Volumes are measured in each study on its own grid. Grown or shrunk: by more than {:.0} % of the earlier volume \
                 (the source's limit for nodules, carried over) and by more than the uncertainty: half the volume of the voxels \
                 at the border, of both studies, as independent errors, which grows with the voxel. Opacities belong together if \
                 they share {:.0} % of the smaller one, or come within {} mm, after registration.",
                100.0 * c::GROWTH_FROM_SHARE,
                100.0 * c::MATCH_FROM_SHARE,
                c::MATCH_WITHIN_MM
            ),
            Some("van Klaveren et al., N Engl J Med 2009, doi 10.1056/NEJMoa0906085"),
        ),
        assume(
            "follow_up.comparison.regions[].trend",
            "Change of a lobe or lung",
            format!(
                "Opacity in percent of the region's own volume, then and now. A change counts if it is more than {} percentage \
                 points, the size of false alarms, and more than the uncertainty of the volumes, the same way.",
                c::SMALL_BELOW_PERCENT
            ),
            None,
        ),
    ]
}

/// The definition of ground-glass and consolidation for the way they were told apart.
pub(crate) fn define_kinds(method: KindMethod, text: &str) -> Definition {
    const FLEISCHNER: &str =
        "Terms: Hansell et al. (Fleischner Society), Radiology 2008, doi 10.1148/radiol.2462070712";
    let how = match method {
        KindMethod::Network => "told apart by a network that was taught both",
        KindMethod::HuThreshold => "told apart by HU",
        KindMethod::Given => "as in the segmentation that was given",
        KindMethod::NotToldApart => "not told apart",
    };
    let text = format!("Ground-glass and consolidation were {how}. {text}").trim_end().to_owned();
    Definition {
        field: "lesions.kind_method".into(),
        name: "Ground-glass and consolidation".into(),
        text,
        source: Some(FLEISCHNER.into()),
        assumption: method == KindMethod::HuThreshold,
    }
}

/// The definition of the interval of the volume, by whoever measured the model.
pub(crate) fn define_interval(text: &str) -> Definition {
    const VOVK: &str = "Split conformal prediction: Vovk et al. 2005, doi 10.1007/b106715";
    define("lesions.interval", "Interval of the volume of opacities", text, VOVK)
}

/// The definition of the probability of a slice, by whoever measured the model.
pub(crate) fn define_slice_probability(text: &str) -> Definition {
    define("lesions.slices[].probability", "Probability of a slice", text, "Logistic calibration: Platt 1999")
}

fn define(field: &str, name: &str, text: impl Into<String>, source: &str) -> Definition {
    Definition {
        field: field.into(),
        name: name.into(),
        text: text.into(),
        source: Some(source.into()),
        assumption: false,
    }
}

fn assume(field: &str, name: &str, text: impl Into<String>, source: Option<&str>) -> Definition {
    Definition {
        field: field.into(),
        name: name.into(),
        text: text.into(),
        source: source.map(Into::into),
        assumption: true,
    }
}
