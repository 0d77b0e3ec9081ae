//! The amounts of the model, which decide what is equal.

use model::{
    amount::{number, quantity},
    tree::Tree,
};

#[test]
fn amounts_are_compared_by_value() {
    let text = |text: &str| quantity(&Tree::text(text));
    for (one, other) in [
        ("2", "2000m"),
        ("2", "2e0"),
        ("4Gi", "4096Mi"),
        ("4Gi", "4294967296"),
        ("1.5Gi", "1536Mi"),
        ("1E", "1000P"),
        ("1e3", "1k"),
        ("1E-3", "1m"),
        ("+.5", "500m"),
        ("0", "-0Ki"),
        ("1000n", "1u"),
        ("1Ei", "1024Pi"),
    ] {
        assert_eq!(text(one), text(other), "{one} and {other}");
        assert!(text(one).is_some(), "{one}");
    }
    assert_ne!(text("1Ki"), text("1k"));
    assert_ne!(text("1M"), text("1m"));
    for none in ["", "Gi", "1 Gi", "1gi", "1e", ".", "two", "1e1.5", "--1"] {
        assert_eq!(text(none), None, "{none}");
    }
    assert_ne!(number("9007199254740993"), number("9007199254740992"));
    assert_eq!(number("9007199254740993.0"), number("9.007199254740993E+15"));
}
