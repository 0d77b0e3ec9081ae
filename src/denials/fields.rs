//! The field paths of a log line or an audit annotation, as [`crate::admission`] joins them.

/// The paths, and the number of further ones that the text only counts.
pub(super) fn split(text: &str) -> (Vec<&str>, u64) {
    let (mut paths, mut more, mut rest) = (Vec::new(), 0, text);
    while !rest.is_empty() {
        let end = end(rest);
        let path = &rest[..end];
        match path.strip_prefix("and ").and_then(|counted| counted.strip_suffix(" more")?.parse().ok()) {
            Some(counted) => more = counted,
            None => paths.push(path),
        }
        rest = rest[end..].strip_prefix(',').unwrap_or_default();
    }
    (paths, more)
}

/// The end of the first path: a comma in brackets is part of a key or a name.
fn end(text: &str) -> usize {
    let (mut in_brackets, mut in_quotes, mut is_escaped) = (false, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if in_quotes => is_escaped = true,
            '"' if in_brackets => in_quotes = !in_quotes,
            '[' => in_brackets = true,
            ']' if !in_quotes => in_brackets = false,
            ',' if !in_brackets => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn splits_paths_and_counts_the_others() {
        assert_eq!(split(""), (vec![], 0));
        assert_eq!(split("spec.a"), (vec!["spec.a"], 0));
        assert_eq!(split("spec.a,spec.b,and 7 more"), (vec!["spec.a", "spec.b"], 7));
        assert_eq!(
            split(r#"spec.l[name="a,]b\",c"].x,metadata.annotations[a,b],spec.c"#),
            (vec![r#"spec.l[name="a,]b\",c"].x"#, "metadata.annotations[a,b]", "spec.c"], 0)
        );
    }
}
