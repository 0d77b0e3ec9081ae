//! Numbers and resource quantities, compared by what they amount to.
//!
//! Neither goes through floating point: `9007199254740993` and `9007199254740992.0` are two numbers.

use std::cmp::Ordering;

/// A decimal number, exact: `digits` × 10^`exponent`, with neither leading nor trailing zeros in `digits`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a decimal: an optional sign, digits with an optional point, an optional exponent. Covers RFC 8259's
    /// numbers, and the number part of a quantity (`.5`, `5.`, `+5`). None where it is something else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_end_matches('0');
        let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(dropped)?;
        let digits = significant.trim_start_matches('0').to_owned();
        // Zero has one form.
        let zero = digits.is_empty();
        Some(Self { negative: negative && !zero, digits, exponent: if zero { 0 } else { exponent } })
    }
}

/// What a resource quantity amounts to, in billionths; what is finer counts as the next billionth.
///
/// `apimachinery`'s `resource.Quantity` has the same resolution, and no quantity past 2^63-1 (it is taken for that).
/// None where the text is no quantity.
pub(super) fn quantity(text: &str) -> Option<i128> {
    const CAP: i128 = (i64::MAX as i128) * 1_000_000_000;
    let suffix_at = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(suffix_at);
    let (power_of_ten, power_of_two): (i64, u32) = match suffix {
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "" => (0, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        exponent => (exponent.strip_prefix(['e', 'E'])?.parse().ok()?, 0),
    };
    let Decimal { negative, digits, exponent } = Decimal::parse(number)?;
    let billionths = scale(&digits, exponent.checked_add(power_of_ten)?.checked_add(9)?, power_of_two, CAP);
    Some(if negative { -billionths } else { billionths })
}

/// `digits` × 10^`ten` × 2^`two`, rounded up to a whole number, at most `cap`.
fn scale(digits: &str, ten: i64, two: u32, cap: i128) -> i128 {
    if digits.is_empty() {
        return 0;
    }
    // Past 60 digits before the point any amount is over the cap; past 60 behind it, anything but zero is a billionth
    // at most, even times 2^60.
    let before_point = i64::try_from(digits.len()).unwrap_or(i64::MAX).saturating_add(ten);
    match before_point.cmp(&60) {
        Ordering::Greater => return cap,
        _ if before_point < -60 => return 1,
        _ => {}
    }
    let mut whole: i128 = 0;
    let mut fraction = String::new();
    let point = usize::try_from(before_point).unwrap_or(0);
    for digit in digits.bytes().chain(std::iter::repeat(b'0')).take(point) {
        whole = whole.saturating_mul(10).saturating_add(i128::from(digit - b'0'));
    }
    if before_point < 0 {
        fraction = "0".repeat(usize::try_from(-before_point).unwrap_or(0));
    }
    fraction.push_str(digits.get(point..).unwrap_or(""));
    // The fraction times 2^two: doubling digit by digit carries into the whole number.
    let mut fraction: Vec<u8> = fraction.bytes().map(|digit| digit - b'0').collect();
    for _ in 0..two {
        let mut carry = 0;
        for digit in fraction.iter_mut().rev() {
            let doubled = *digit * 2 + carry;
            *digit = doubled % 10;
            carry = doubled / 10;
        }
        whole = whole.saturating_mul(2).saturating_add(i128::from(carry));
    }
    let up = i128::from(fraction.iter().any(|&digit| digit > 0));
    whole.saturating_add(up).min(cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        for (one, other) in [("1", "1.0"), ("100", "1e2"), ("-0", "0.0"), ("0.5", "5E-1"), ("10", "1.0e+1")] {
            assert_eq!(Decimal::parse(one), Decimal::parse(other), "{one} {other}");
            assert!(Decimal::parse(one).is_some(), "{one}");
        }
        for (one, other) in [("9007199254740993", "9007199254740992.0"), ("1", "-1"), ("1e400", "1e401"), ("1", "10")] {
            assert_ne!(Decimal::parse(one), Decimal::parse(other), "{one} {other}");
        }
        for text in ["", "-", ".", "1e", "e5", "1.2.3", "0x1", "1e99999999999999999999"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn quantities_compare_by_amount() {
        for (one, other) in [
            ("2", "2000m"),
            ("4Gi", "4096Mi"),
            ("1e3", "1k"),
            ("0.5", "500m"),
            (".5Ki", "512"),
            ("1.5Gi", "1536Mi"),
            ("1E3", "1000"),
            ("1E", "1e18"),
            ("0.1n", "1n"),
            ("-2", "-2000m"),
            ("0", "0Gi"),
            ("100Ei", "9223372036854775807"),
            ("1e-80", "1n"),
            ("1e80", "1e90"),
        ] {
            assert_eq!(quantity(one), quantity(other), "{one} {other}");
            assert!(quantity(one).is_some(), "{one}");
        }
        for (one, other) in [("2", "2m"), ("4G", "4Gi"), ("1", "-1"), ("1n", "2n"), ("1Ki", "1024.000000001")] {
            assert_ne!(quantity(one), quantity(other), "{one} {other}");
        }
        for text in ["", "abc", "1Xi", "1 Gi", "Gi", "1e", "--1", "1ki"] {
            assert_eq!(quantity(text), None, "{text}");
        }
    }
}
