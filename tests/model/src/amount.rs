//! Numbers and resource quantities by value, with pencil-and-paper arithmetic on decimal digits: no floating point.

use crate::tree::Tree;

/// A sign, digits without zeros at either end, and the power of ten they are multiplied with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    negative: bool,
    digits: String,
    power: i128,
}

impl Amount {
    fn new(negative: bool, digits: &str, power: i128) -> Self {
        let digits = digits.trim_start_matches('0');
        let stripped = digits.trim_end_matches('0');
        if stripped.is_empty() {
            return Self { negative: false, digits: String::new(), power: 0 };
        }
        let zeros = i128::try_from(digits.len() - stripped.len()).expect("a length");
        Self { negative, digits: stripped.to_owned(), power: power + zeros }
    }

    fn times_1024(&self) -> Self {
        let mut carry = 0;
        let mut digits = Vec::new();
        for digit in self.digits.bytes().rev() {
            carry += u32::from(digit - b'0') * 1024;
            digits.push(char::from(b'0' + u8::try_from(carry % 10).expect("a digit")));
            carry /= 10;
        }
        let digits: String = carry.to_string().chars().chain(digits.into_iter().rev()).collect();
        Self::new(self.negative, &digits, self.power)
    }
}

/// The value of a JSON number.
pub fn number(spelling: &str) -> Amount {
    decimal(spelling).expect("a JSON number")
}

/// The amount of a quantity, written as a string or a number; none where it is no quantity.
pub fn quantity(tree: &Tree) -> Option<Amount> {
    let (Tree::Text(text) | Tree::Number(text)) = tree else { return None };
    for (count, suffix) in (1_u32..).zip(["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]) {
        if let Some(text) = text.strip_suffix(suffix) {
            return Some((0..count).fold(plain(text, 0)?, |amount, _| amount.times_1024()));
        }
    }
    for (power, suffix) in
        [(-9, "n"), (-6, "u"), (-3, "m"), (3, "k"), (6, "M"), (9, "G"), (12, "T"), (15, "P"), (18, "E")]
    {
        if let Some(text) = text.strip_suffix(suffix) {
            return plain(text, power);
        }
    }
    decimal(text)
}

/// Digits with a point and an exponent, as in `-1.5e3`.
fn decimal(text: &str) -> Option<Amount> {
    match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => plain(mantissa, exponent.parse().ok()?),
        None => plain(text, 0),
    }
}

/// Digits with a point: `1`, `1.5`, `1.`, `.5`.
fn plain(text: &str, power: i128) -> Option<Amount> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}");
    let good = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| Amount::new(negative, &digits, power - i128::try_from(fraction.len()).expect("a length")))
}
