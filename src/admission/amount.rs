//! Numbers and resource quantities, compared by what they amount to.
//!
//! Neither goes through floating point: `9007199254740993` and `9007199254740992.0` are two numbers. Nor are digits copied,
//! but where a binary suffix is multiplied out.

use std::borrow::Cow;

/// The longest quantity whose binary suffix is multiplied out, in bytes: far longer than any, and it bounds the work.
const MAX_BINARY: usize = 128;

/// A decimal number, exact: a view of its digits, and what power of ten they are multiplied with.
#[derive(Debug, Clone)]
pub(super) struct Decimal<'t> {
    negative: bool,
    /// The significant digits: no zero at either end. There may be a point among them, which means nothing.
    digits: Cow<'t, [u8]>,
    exponent: i64,
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.negative, self.exponent) == (other.negative, other.exponent) && self.digits().eq(other.digits())
    }
}

impl<'t> Decimal<'t> {
    /// Reads a decimal: an optional sign, digits with an optional point, an optional exponent. Covers RFC 8259's
    /// numbers, and the number part of a quantity (`.5`, `5.`, `+5`). None where it is something else.
    pub(super) fn parse(text: &'t [u8]) -> Option<Self> {
        let (negative, unsigned) = match text.split_first()? {
            (b'-', unsigned) => (true, unsigned),
            (b'+', unsigned) => (false, unsigned),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&unsigned[..at], std::str::from_utf8(&unsigned[at + 1..]).ok()?.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let point = mantissa.iter().position(|byte| *byte == b'.');
        let is_digit = |(at, byte): (usize, &u8)| byte.is_ascii_digit() || Some(at) == point;
        if mantissa.len() == usize::from(point.is_some()) || !mantissa.iter().enumerate().all(is_digit) {
            return None;
        }
        let decimals = point.map_or(0, |point| mantissa.len() - point - 1);
        Self::new(negative, Cow::Borrowed(mantissa), exponent.checked_sub(i64::try_from(decimals).ok()?)?)
    }

    /// The digits times ten to the power of `exponent`. None where that is past what 64 bits hold.
    fn new(negative: bool, digits: Cow<'t, [u8]>, exponent: i64) -> Option<Self> {
        let is_significant = |byte: &u8| matches!(byte, b'1'..=b'9');
        let (Some(first), Some(last)) =
            (digits.iter().position(is_significant), digits.iter().rposition(is_significant))
        else {
            // Zero has one form.
            return Some(Self { negative: false, digits: Cow::Borrowed(b""), exponent: 0 });
        };
        let dropped = digits[last + 1..].iter().filter(|byte| **byte != b'.').count();
        let exponent = exponent.checked_add(i64::try_from(dropped).ok()?)?;
        let digits = match digits {
            Cow::Borrowed(digits) => Cow::Borrowed(&digits[first..=last]),
            Cow::Owned(digits) => Cow::Owned(digits[first..=last].to_vec()),
        };
        Some(Self { negative, digits, exponent })
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.digits.iter().copied().filter(|byte| *byte != b'.')
    }
}

/// The exact amount of a resource quantity. None where the text is no quantity.
///
/// `apimachinery`'s `resource.Quantity` rounds what is finer than a billionth and takes what has a binary suffix for
/// 2^63-1 at most; here two amounts that differ are two, however small or large.
pub(super) fn quantity(text: &[u8]) -> Option<Decimal<'_>> {
    let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-');
    let (number, suffix) = text.split_at(text.iter().position(|byte| !is_number(byte)).unwrap_or(text.len()));
    let (powers_of_ten, powers_of_1024): (i64, u32) = match suffix {
        b"n" => (-9, 0),
        b"u" => (-6, 0),
        b"m" => (-3, 0),
        b"" => (0, 0),
        b"k" => (3, 0),
        b"M" => (6, 0),
        b"G" => (9, 0),
        b"T" => (12, 0),
        b"P" => (15, 0),
        b"E" => (18, 0),
        b"Ki" => (0, 1),
        b"Mi" => (0, 2),
        b"Gi" => (0, 3),
        b"Ti" => (0, 4),
        b"Pi" => (0, 5),
        b"Ei" => (0, 6),
        [b'e' | b'E', exponent @ ..] => (std::str::from_utf8(exponent).ok()?.parse().ok()?, 0),
        _ => return None,
    };
    let Decimal { negative, mut digits, exponent } = Decimal::parse(number)?;
    let exponent = exponent.checked_add(powers_of_ten)?;
    if powers_of_1024 > 0 {
        if digits.len() > MAX_BINARY {
            return None;
        }
        for _ in 0..powers_of_1024 {
            digits = Cow::Owned(times_1024(&digits));
        }
    }
    Decimal::new(negative, digits, exponent)
}

/// Decimal digits times 1024, as on paper.
fn times_1024(digits: &[u8]) -> Vec<u8> {
    let mut product = Vec::with_capacity(digits.len() + 4);
    let mut carry = 0;
    for digit in digits.iter().rev().filter(|byte| **byte != b'.') {
        carry += u16::from(digit - b'0') * 1024;
        product.push(last_digit(carry));
        carry /= 10;
    }
    while carry > 0 {
        product.push(last_digit(carry));
        carry /= 10;
    }
    product.reverse();
    product
}

fn last_digit(number: u16) -> u8 {
    b'0' + (number % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        for (one, other) in [("1", "1.0"), ("100", "1e2"), ("-0", "0.0"), ("0.5", "5E-1"), ("10", "1.0e+1")] {
            assert_eq!(Decimal::parse(one.as_bytes()), Decimal::parse(other.as_bytes()), "{one} {other}");
            assert!(Decimal::parse(one.as_bytes()).is_some(), "{one}");
        }
        for (one, other) in [("9007199254740993", "9007199254740992.0"), ("1", "-1"), ("1e400", "1e401"), ("1", "10")] {
            assert_ne!(Decimal::parse(one.as_bytes()), Decimal::parse(other.as_bytes()), "{one} {other}");
        }
        for text in ["", "-", ".", "1e", "e5", "1.2.3", "0x1", "1e99999999999999999999"] {
            assert_eq!(Decimal::parse(text.as_bytes()), None, "{text}");
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
            assert_eq!(quantity(one.as_bytes()), quantity(other.as_bytes()), "{one} {other}");
            assert!(quantity(one.as_bytes()).is_some(), "{one}");
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
            assert_ne!(quantity(one.as_bytes()), quantity(other.as_bytes()), "{one} {other}");
        }
        for text in ["", "abc", "1Xi", "1 Gi", "Gi", "1e", "--1", "1ki"] {
            assert_eq!(quantity(text.as_bytes()), None, "{text}");
        }
    }
}
