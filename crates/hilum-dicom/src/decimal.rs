//! Numbers as text.

/// A number as a Decimal String, the most exact one of at most 16 characters (PS3.5 6.2).
pub(crate) fn decimal_string(value: f64) -> String {
    let value = value + 0.0; // −0 is 0
    let plain = format!("{value}");
    if plain.len() <= 16 {
        return plain;
    }
    let fixed = (0..=14).rev().map(|digits| format!("{value:.digits$}"));
    let scientific = (0..=10).rev().map(|digits| format!("{value:.digits$e}"));
    let fits = |text: &String| text.len() <= 16;
    let error = |text: &String| (text.parse::<f64>().unwrap_or(f64::INFINITY) - value).abs();
    let candidates = [fixed.into_iter().find(fits), scientific.into_iter().find(fits)];
    candidates.into_iter().flatten().min_by(|a, b| error(a).total_cmp(&error(b))).expect("ten digits always fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_strings_fit_and_keep_what_they_can() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (-1024.0, "-1024"),
            (0.603515625, "0.603515625"),
            (1.0 / 3.0, "0.33333333333333"),
            (-1.0 / 3.0, "-0.3333333333333"),
            (-123.456_789_012_345_6, "-123.45678901235"),
            (-1.224_646_799_147_353e-16, "-1.224646799e-16"),
        ] {
            assert_eq!(decimal_string(value), expected);
        }
    }
}
