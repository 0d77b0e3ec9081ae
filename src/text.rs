//! Text from outside, made fit to be shown.

/// The text on one line, and with nothing in it that a terminal or a CI system takes for more than text.
#[must_use]
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// The error and its causes. Many errors repeat what they are made from.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string);
    let mut said = error.to_string();
    for source in sources {
        if !said.contains(&source) {
            said = format!("{said}: {source}");
        }
    }
    said
}

/// The parts, and `more` that are not given, as one text of at most `limit` bytes; the last part then says how many are
/// left out.
pub(crate) fn joined<'p>(
    parts: impl ExactSizeIterator<Item = &'p str>,
    more: usize,
    separator: &str,
    limit: usize,
) -> String {
    // Room for "and 4294967295 more".
    const MORE: usize = 24;
    let mut text = String::new();
    let mut left = parts.len() + more;
    for part in parts {
        let needed = text.len() + separator.len() + part.len();
        let room = if left == 1 { limit } else { limit - MORE };
        if needed > room {
            break;
        }
        if !text.is_empty() {
            text.push_str(separator);
        }
        text.push_str(part);
        left -= 1;
    }
    if left > 0 {
        let separator = if text.is_empty() { "" } else { separator };
        text = text + separator + &format!("and {left} more");
    }
    text
}

/// The text, cut to `limit` bytes; three dots tell that it was.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    const DOTS: &str = "...";
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit - DOTS.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{DOTS}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_to_the_limit_and_says_that_it_did() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "lo...");
        assert_eq!(cut("日本語", 8), "日...");
        let parts = ["alpha", "beta", "gamma", "delta"];
        assert_eq!(joined(parts.into_iter(), 0, ", ", 100), "alpha, beta, gamma, delta");
        assert_eq!(joined(parts.into_iter(), 0, ", ", 36), "alpha, beta, and 2 more");
        assert_eq!(joined(parts.into_iter(), 0, ",", 26), "and 4 more");
        assert_eq!(joined(parts.into_iter(), 3, ", ", 100), "alpha, beta, gamma, delta, and 3 more");
    }
}
