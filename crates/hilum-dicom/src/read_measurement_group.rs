//! One measurement group of a report that is read: TID 1410, 1411 and 1501 of PS3.16, with TID 300 and 1419 in them.

use dicom_dictionary_std::tags;

use crate::Refusal;
use crate::code::is_uid;
use crate::codes::sr;
use crate::report_document::{
    Concept, Evaluation, EvaluationValue, FindingSite, Quantity, Region, RegionPoints, ReportFlaw, ReportedAlgorithm,
    ReportedGroup, ReportedMeasurement,
};
use crate::sr_reading::{ReadItem, Reading};

pub(crate) fn group(of: &ReadItem<'_>, reading: &Reading<'_>) -> Result<ReportedGroup, Refusal> {
    let mut group = ReportedGroup::default();
    for item in of.children(reading)? {
        match item.kind.as_str() {
            "NUM" if item.relation == "HAS OBS CONTEXT" => match (&item.name, quantity(&item, reading)?) {
                // What an offset counts from (TID 1502) is the baseline or said in words elsewhere.
                (Some(name), Some(quantity)) => group.circumstances.push((name.clone(), quantity)),
                _ => reading.pass_over(),
            },
            "NUM" => group.measurements.push(measurement(&item, reading)?),
            "TEXT" if item.is(sr::TRACKING_IDENTIFIER, "") => {
                group.tracking_id = Some(item.words(tags::TEXT_VALUE, reading)?);
            }
            "UIDREF" if item.is(sr::TRACKING_UNIQUE_IDENTIFIER, "") => group.tracking_uid = Some(item.uid(reading)?),
            "CODE" if item.is(sr::FINDING_CATEGORY, "") => group.category = Some(item.code(reading)?),
            "CODE" if item.is(sr::FINDING, "") => group.finding = Some(item.code(reading)?),
            "CODE" if item.is(sr::FINDING_SITE, "G-C0E3") => group.sites.push(site(&item, reading)?),
            "CODE" if item.is(sr::MEASUREMENT_METHOD, "G-C036") => group.method = Some(item.code(reading)?),
            "IMAGE" if item.is(sr::REFERENCED_SEGMENT, "") || item.is(sr::REFERENCED_SEGMENTATION_FRAME, "") => {
                group.segments.push(item.reference(reading)?);
            }
            "IMAGE" if item.is(sr::SOURCE_IMAGE_FOR_SEGMENTATION, "") || item.is(sr::SOURCE_OF_MEASUREMENT, "") => {
                group.source_images.push(item.reference(reading)?);
            }
            "UIDREF" if item.is(sr::SOURCE_SERIES_FOR_SEGMENTATION, "") => {
                group.source_series_uids.push(item.uid(reading)?);
            }
            "SCOORD" | "SCOORD3D" => group.regions.push(region(&item, reading)?),
            _ if algorithm(&item, &mut group.algorithm, reading)? => {}
            "CODE" if item.relation == "HAS CONCEPT MOD" => match &item.name {
                Some(name) => group.modifiers.push((name.clone(), item.code(reading)?)),
                None => reading.pass_over(),
            },
            "TEXT" if item.relation == "HAS OBS CONTEXT" => match &item.name {
                Some(name) => group.contexts.push((name.clone(), item.words(tags::TEXT_VALUE, reading)?)),
                None => reading.pass_over(),
            },
            _ => match evaluation(&item, reading)? {
                Some(evaluation) => group.evaluations.push(evaluation),
                None => reading.pass_over(),
            },
        }
    }
    Ok(group)
}

/// A judgement, or `None` if the item is none.
pub(crate) fn evaluation(item: &ReadItem<'_>, reading: &Reading<'_>) -> Result<Option<Evaluation>, Refusal> {
    let Some(concept) = item.name.clone() else { return Ok(None) };
    let value = match item.kind.as_str() {
        "CODE" => EvaluationValue::Code(item.code(reading)?),
        "TEXT" => EvaluationValue::Text(item.words(tags::TEXT_VALUE, reading)?),
        _ => return Ok(None),
    };
    Ok(Some(Evaluation { concept, value }))
}

/// Takes in an item of TID 4019; whether it was one.
fn algorithm(item: &ReadItem<'_>, to: &mut Option<ReportedAlgorithm>, reading: &Reading<'_>) -> Result<bool, Refusal> {
    match item.kind.as_str() {
        "TEXT" if item.is(sr::ALGORITHM_NAME, "") => {
            to.get_or_insert_default().name = Some(item.words(tags::TEXT_VALUE, reading)?);
        }
        "TEXT" if item.is(sr::ALGORITHM_VERSION, "") => {
            to.get_or_insert_default().version = Some(item.words(tags::TEXT_VALUE, reading)?);
        }
        "CODE" if item.is(sr::ALGORITHM_FAMILY, "") => {
            to.get_or_insert_default().family = Some(item.code(reading)?);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn site(item: &ReadItem<'_>, reading: &Reading<'_>) -> Result<FindingSite, Refusal> {
    let mut site = FindingSite { site: item.code(reading)?, laterality: None, topography: None };
    for child in item.children(reading)? {
        match child.kind.as_str() {
            "CODE" if child.is(sr::LATERALITY, "G-C171") => site.laterality = Some(child.code(reading)?),
            "CODE" if child.is(sr::TOPOGRAPHICAL_MODIFIER, "G-A1F8") => site.topography = Some(child.code(reading)?),
            _ => reading.pass_over(),
        }
    }
    Ok(site)
}

fn measurement(item: &ReadItem<'_>, reading: &Reading<'_>) -> Result<ReportedMeasurement, Refusal> {
    let here = || item.position.clone();
    let mut measurement = ReportedMeasurement {
        concept: item.name.clone().ok_or_else(|| ReportFlaw::Unnamed(here()))?,
        quantity: quantity(item, reading)?,
        qualifier: reading.concept(&item.data, tags::NUMERIC_VALUE_QUALIFIER_CODE_SEQUENCE)?,
        ..ReportedMeasurement::default()
    };
    // PS3.3 C.18.1: the value may be left out where a qualifier says why.
    if measurement.quantity.is_none() && measurement.qualifier.is_none() {
        return Err(ReportFlaw::NoValue(here()).into());
    }
    for child in item.children(reading)? {
        match child.kind.as_str() {
            "NUM" if child.is(sr::LOWER_UNCERTAINTY, "") => measurement.uncertainty[0] = quantity(&child, reading)?,
            "NUM" if child.is(sr::UPPER_UNCERTAINTY, "") => measurement.uncertainty[1] = quantity(&child, reading)?,
            "CODE" if child.is(sr::DERIVATION, "") => measurement.derivation = Some(child.code(reading)?),
            "CODE" if child.is(sr::MEASUREMENT_METHOD, "G-C036") => measurement.method = Some(child.code(reading)?),
            "CODE" if child.is(sr::FINDING_SITE, "G-C0E3") => measurement.sites.push(site(&child, reading)?),
            _ if algorithm(&child, &mut measurement.algorithm, reading)? => {}
            "CODE" if child.relation == "HAS CONCEPT MOD" => match &child.name {
                Some(name) => measurement.modifiers.push((name.clone(), child.code(reading)?)),
                None => reading.pass_over(),
            },
            _ => reading.pass_over(),
        }
    }
    Ok(measurement)
}

/// The measured value (PS3.3 C.18.1); `None` if it is left out.
fn quantity(item: &ReadItem<'_>, reading: &Reading<'_>) -> Result<Option<Quantity>, Refusal> {
    let here = || item.position.clone();
    let values = reading.sequence(&item.data, tags::MEASURED_VALUE_SEQUENCE)?;
    let measured = match &values[..] {
        [] => return Ok(None),
        [one] => one,
        _ => return Err(ReportFlaw::NotANumber(here()).into()),
    };
    let text = reading.text(measured, tags::NUMERIC_VALUE)?.ok_or_else(|| ReportFlaw::NotANumber(here()))?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    let rounded = number(&text).ok_or_else(|| ReportFlaw::NotANumber(here()))?;
    let exact = measured.f64s(tags::FLOATING_POINT_VALUE).map_err(|_| ReportFlaw::NotANumber(here()))?;
    let value = match exact[..] {
        [] => rounded,
        [exact] if !exact.is_finite() => return Err(ReportFlaw::NotANumber(here()).into()),
        // Beside a Decimal String of 16 characters stands the number that it is rounded from.
        [exact] if (exact - rounded).abs() <= last_place(&text) => exact,
        [_] => return Err(ReportFlaw::TwoNumbers(here()).into()),
        _ => return Err(ReportFlaw::NotANumber(here()).into()),
    };
    let unit: Option<Concept> = reading.concept(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE)?;
    Ok(Some(Quantity { value, unit: unit.ok_or_else(|| ReportFlaw::NoUnit(here()))? }))
}

/// What the last digit of a decimal number is worth.
fn last_place(text: &str) -> f64 {
    let (digits, exponent) = text.trim().split_once(['e', 'E']).unwrap_or((text.trim(), "0"));
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let exponent = exponent.parse::<i32>().unwrap_or(0).clamp(-400, 400);
    10f64.powi(exponent - decimals.min(400) as i32)
}

/// Coordinates on an image (PS3.3 C.18.6) or in space (C.18.9).
fn region(item: &ReadItem<'_>, reading: &Reading<'_>) -> Result<Region, Refusal> {
    let bad = || Refusal::from(ReportFlaw::BadRegion(item.position.clone()));
    let graphic = item.words(tags::GRAPHIC_TYPE, reading)?;
    let data = item.data.f32s(tags::GRAPHIC_DATA).map_err(|_| bad())?;
    if data.is_empty() || data.iter().any(|v| !v.is_finite()) {
        return Err(bad());
    }
    if item.kind == "SCOORD3D" {
        let (points, []) = data.as_chunks::<3>() else { return Err(bad()) };
        let uid = reading.text(&item.data, tags::REFERENCED_FRAME_OF_REFERENCE_UID)?.filter(|uid| is_uid(uid));
        let frame_of_reference_uid = uid.ok_or_else(bad)?;
        return Ok(Region {
            graphic,
            points: RegionPoints::InSpace { frame_of_reference_uid, points: points.to_vec() },
        });
    }
    let (points, []) = data.as_chunks::<2>() else { return Err(bad()) };
    let mut image = None;
    for child in item.children(reading)? {
        match child.kind.as_str() {
            "IMAGE" if image.is_none() => image = Some(child.reference(reading)?),
            _ => reading.pass_over(),
        }
    }
    Ok(Region { graphic, points: RegionPoints::OnImage { image, points: points.to_vec() } })
}
