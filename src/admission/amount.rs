//! Numbers and resource quantities, compared by what they amount to.
//!
//! Neither goes through floating point: `9007199254740993` and `9007199254740992.0` are two numbers.

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
        Self::new(negative, &digits, exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?)
    }

    /// None where the exponent is past what 64 bits hold.
    fn new(negative: bool, digits: &str, exponent: i64) -> Option<Self> {
        let significant = digits.trim_end_matches('0');
        let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
        let exponent = exponent.checked_add(dropped)?;
        let digits = significant.trim_start_matches('0').to_owned();
        // Zero has one form.
        let zero = digits.is_empty();
        Some(Self { negative: negative && !zero, digits, exponent: if zero { 0 } else { exponent } })
    }
}

/// What a resource quantity amounts to, exactly. None where the text is no quantity.
///
/// `apimachinery`'s `resource.Quantity` rounds what is finer than a billionth and takes what has a binary suffix for
/// 2^63-1 at most; here two amounts that differ are two, however small or large.
pub(super) fn quantity(text: &str) -> Option<Decimal> {
    let suffix_at = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(suffix_at);
    let (powers_of_ten, powers_of_1024): (i64, u32) = match suffix {
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
        "Ki" => (0, 1),
        "Mi" => (0, 2),
        "Gi" => (0, 3),
        "Ti" => (0, 4),
        "Pi" => (0, 5),
        "Ei" => (0, 6),
        exponent => (exponent.strip_prefix(['e', 'E'])?.parse().ok()?, 0),
    };
    let mut amount = Decimal::parse(number)?;
    for _ in 0..powers_of_1024 {
        amount.digits = times_1024(&amount.digits);
    }
    let exponent = amount.exponent.checked_add(powers_of_ten)?;
    Decimal::new(amount.negative, &amount.digits, exponent)
}

/// Decimal digits times 1024, as on paper.
fn times_1024(digits: &str) -> String {
    let mut product = Vec::with_capacity(digits.len() + 4);
    let mut carry = 0;
    for digit in digits.bytes().rev() {
        carry += u16::from(digit - b'0') * 1024;
        product.push(last_digit(carry));
        carry /= 10;
    }
    while carry > 0 {
        product.push(last_digit(carry));
        carry /= 10;
    }
    product.into_iter().rev().collect()
}

fn last_digit(number: u16) -> char {
    char::from_digit(u32::from(number % 10), 10).unwrap_or('0')
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
            ("0.1n", "1e-10"),
            ("-2", "-2000m"),
            ("0", "0Gi"),
            ("100Ei", "115292150460684697600"),
            ("1e80", "10e79"),
        ] {
            assert_eq!(quantity(one), quantity(other), "{one} {other}");
            assert!(quantity(one).is_some(), "{one}");
        }
        for (one, other) in [
            ("2", "2m"),
            ("4G", "4Gi"),
            ("1", "-1"),
            ("1n", "2n"),
            ("1Ki", "1024.000000001"),
            // Past what 64 bits and billionths hold.
            ("10E", "20E"),
            ("100Ei", "200Ei"),
            ("1e80", "1e90"),
            ("0.1n", "0.2n"),
        ] {
            assert_ne!(quantity(one), quantity(other), "{one} {other}");
        }
        for text in ["", "abc", "1Xi", "1 Gi", "Gi", "1e", "--1", "1ki"] {
            assert_eq!(quantity(text), None, "{text}");
        }
    }
}
