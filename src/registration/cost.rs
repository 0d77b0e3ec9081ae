//! The cost of an expression as an API server counts it, and the limits that end an evaluation in an error.
//!
//! An evaluation that ends in an error rejects the update, also the garbage collector's. So the conditions bound the maps that they
//! walk, and no expression is written that could cost more than the limits, whatever the objects hold.

use super::cel::Expression;

/// The most that one expression may cost: `PerCallLimit` in `k8s.io/apiserver/pkg/apis/cel`.
pub(super) const EXPRESSION_LIMIT: u64 = 1_000_000;
/// The most that all conditions of a webhook may cost together: `RuntimeCELCostBudgetMatchConditions`.
pub(super) const CONDITIONS_LIMIT: u64 = 2_500_000;
/// The most that all expressions of an admission policy may cost together: `RuntimeCELCostBudget`.
pub(super) const POLICY_LIMIT: u64 = 10_000_000;

/// The bounds for the number of keys in a map that is walked, the usual one first. An honest job has some 20 in any map.
/// The others are for policies with `*` below `*`.
pub(super) const BOUNDS: [u64; 5] = [256, 128, 64, 32, 16];

/// The longest request that an API server reads, in bytes.
const LONGEST_REQUEST: u64 = 3 * 1024 * 1024;
/// The cost of comparing all of two objects once: a tenth for each character or element of what an `==` stands between.
/// Deeper values do not count.
const COMPARISON: u64 = LONGEST_REQUEST / 10;

/// The cost of a loop for each turn, without the body.
const TURN: u64 = 5;
/// The cost to name a key: it is put into four lists, matched with a pattern and appended to a prefix.
const NAME: u64 = 150;

/// Returns the most that an expression costs which compares each part of two objects at most once.
pub(super) fn cost(expression: &Expression) -> u64 {
    COMPARISON.saturating_add(steps(expression))
}

/// Returns the most that it costs to name keys of two maps, if so much is spent on each of the keys.
pub(super) fn naming(turn: u64, most_keys: u64) -> u64 {
    COMPARISON.saturating_add(most_keys.saturating_mul(2).saturating_mul(turn.saturating_add(NAME)))
}

/// The cost without that of long strings and large maps between which an `==` stands.
pub(super) fn steps(expression: &Expression) -> u64 {
    match expression {
        Expression::Plain(text) => operations(text),
        Expression::All(parts) | Expression::Any(parts) => {
            parts.iter().fold(0, |sum, part| sum.saturating_add(steps(part)))
        }
        Expression::Not(inner) => steps(inner).saturating_add(1),
        Expression::Differ(both) => steps(&both[0]).saturating_add(steps(&both[1])).saturating_add(1),
        Expression::EachKey { map, body, most, .. } => {
            let turn = steps(body).saturating_add(TURN);
            most.saturating_mul(turn).saturating_add(operations(map))
        }
    }
}

/// The names, literals and operators of a text: each costs one at the most, a list of literals one for each of them.
fn operations(text: &str) -> u64 {
    let mut operations = 0;
    let mut in_word = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let is_part = character.is_ascii_alphanumeric() || character == '_';
        operations += u64::from(if is_part { !in_word } else { "'[=<>!".contains(character) });
        in_word = is_part;
        if character == '\'' {
            // Up to the closing quote; a backslash takes the next character along.
            while let Some(quoted) = characters.next().filter(|quoted| *quoted != '\'') {
                if quoted == '\\' {
                    characters.next();
                }
            }
        }
    }
    operations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_names_literals_and_operators() {
        assert_eq!(operations(r"k in ['metadata', 'it\'s a', ''] "), 2 + 1 + 3);
        assert_eq!(operations("object.spec[?k2] == old_object['x.io/y'].orValue(null)"), 7 + 2 + 2);
    }

    #[test]
    fn a_loop_costs_its_body_for_each_key() {
        let each =
            |most, body| Expression::EachKey { map: "m".to_owned(), key: "k".to_owned(), most, body: Box::new(body) };
        let inner = steps(&each(10, Expression::plain("k in m")));
        assert_eq!(inner, 1 + 10 * (3 + TURN));
        assert_eq!(steps(&each(16, each(10, Expression::plain("k in m")))), 1 + 16 * (inner + TURN));
        let deep = (0..9).fold(Expression::plain("k"), |body, _| each(u64::MAX / 2, body));
        assert_eq!(cost(&deep), u64::MAX);
    }
}
