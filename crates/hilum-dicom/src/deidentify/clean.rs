//! Values that say less: dates moved by days, descriptions reduced to known words.

/// Words of protocols and series that name no one. Everything else is taken out of a description.
const WORDS: &str = "ABDOMEN ABDOMINAL ANGIO ANGIOGRAPHY AORTA APEX ARTERIAL ARTERY AX AXIAL B BASE BODY BONE BREATH BREATHHOLD BRONCHI \
    C CARDIAC CE CHEST CONTRAST CONTROL COR CORONAL COVID CT CTA CTPA DELAYED DOSE ECG EMPHYSEMA ENHANCED EXPIRATION EXPIRATORY \
    FIBROSIS FILTER FINE FOLLOW FOLLOWUP HD HELICAL HIGH HR HRCT ILD INFILTRATE INSPIRATION INSPIRATORY IV KERNEL LATE LEFT LIVER \
    LOCALIZER LOW LUNG LUNGS MEDIASTINUM MIP MPR NATIVE NECK NODULE NON NONCONTRAST ORIGINAL PA PE PELVIS PHASE PLAIN PNEUMONIA \
    PORTAL PRIMARY PRONE PULMONARY RECON RECONSTRUCTION RIB RIBS RIGHT ROUTINE SAG SAGITTAL SCAN SCOUT SCREENING SEGMENTATION SHARP \
    SLICE SMOOTH SOFT SPINE SPIRAL STANDARD STD SUPINE THICK THIN THORAX TISSUE TOPOGRAM TRACHEA UP VENOUS VOLUME WITH WITHOUT WO";

/// The known words of a description, in their order; `None` if there is none.
pub(super) fn description(text: &str) -> Option<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let known: Vec<&str> =
        words.filter(|word| WORDS.split_whitespace().any(|known| known.eq_ignore_ascii_case(word))).collect();
    (!known.is_empty()).then(|| known.join(" "))
}

/// Moves the dates of a DA or DT value (backslashes between several); times and zones behind a date stay. `None` if one of
/// them is no whole date: such a value is not kept.
pub(super) fn shifted(value: &str, days: i64) -> Option<String> {
    let moved: Option<Vec<String>> = value
        .split('\\')
        .map(|date| {
            let date = date.trim_matches([' ', '\0']);
            if date.is_empty() {
                return Some(String::new());
            }
            let (day, rest) = date.split_at_checked(8)?;
            let rest_is_time = rest.bytes().all(|b| b.is_ascii_digit() || b".+-".contains(&b));
            if !day.bytes().all(|b| b.is_ascii_digit()) || !rest_is_time {
                return None;
            }
            let (year, month, of_month) = (day[..4].parse().ok()?, day[4..6].parse().ok()?, day[6..].parse().ok()?);
            let number = day_number(year, month, of_month);
            if date_of(number) != (year, month, of_month) {
                return None;
            }
            let (year, month, of_month) = date_of(number + days);
            (0..=9999).contains(&year).then(|| format!("{year:04}{month:02}{of_month:02}{rest}"))
        })
        .collect();
    moved.map(|dates| dates.join("\\"))
}

/// Days since 1 March of the year 0 in the Gregorian calendar, years beginning in March so that leap days come last.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day - 1
}

fn date_of(number: i64) -> (i64, i64, i64) {
    let mut year = (10_000 * number + 14_780).div_euclid(3_652_425);
    let mut rest = number - day_number(year, 3, 1);
    if rest < 0 {
        year -= 1;
        rest = number - day_number(year, 3, 1);
    }
    let month = (100 * rest + 52) / 3060;
    let day = rest - (month * 306 + 5) / 10 + 1;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        let start = day_number(1800, 1, 1);
        for number in start..start + 146_097 {
            let (year, month, day) = date_of(number);
            assert_eq!(day_number(year, month, day), number);
            assert!((1..=12).contains(&month) && (1..=31).contains(&day));
        }
        assert_eq!(date_of(start + 146_097), (2200, 1, 1));
    }

    #[test]
    fn dates_move_and_what_is_no_date_does_not_pass() {
        assert_eq!(shifted("20240301", -1).unwrap(), "20240229");
        assert_eq!(shifted("20240301112233.5+0100\\20231231", 1).unwrap(), "20240302112233.5+0100\\20240101");
        for bad in ["202403", "20240230", "Smith 20240301", "20240301 Smith", "2024-03-01"] {
            assert_eq!(shifted(bad, -5), None, "{bad}");
        }
    }

    #[test]
    fn descriptions_keep_known_words_alone() {
        assert_eq!(description("CT Thorax nativ, Müller 12.3.1950, lung").unwrap(), "CT Thorax lung");
        assert_eq!(description("Smith^John"), None);
    }
}
