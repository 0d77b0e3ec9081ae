//! The call of the API server that a log line belongs to: the `traceparent` header of W3C Trace Context.
//!
//! The guard makes no spans of its own. It writes down what it was sent, so that a denial can be found from a trace and a
//! trace from a denial. What does not follow the specification counts as not sent: a wrong id is worse than none.

use hyper::HeaderMap;

const HEADER: &str = "traceparent";
/// `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
const LENGTH: usize = 55;

/// The trace, and the span in it that the call was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent<'a> {
    pub(super) trace_id: &'a str,
    pub(super) span_id: &'a str,
}

impl<'a> Parent<'a> {
    /// The header as the caller sent it, if it sent one and that is valid. It is copied out: the headers need not be kept for it.
    pub(super) fn header(headers: &HeaderMap) -> Option<String> {
        let mut values = headers.get_all(HEADER).iter();
        let only = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
        Parent::parse(only)?;
        // Later versions may append what means nothing here.
        Some(only[..LENGTH.min(only.len())].to_owned())
    }

    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (known, more) = text.split_at_checked(LENGTH)?;
        let mut parts = known.split('-');
        let mut next = |length| parts.next().filter(|part| part.len() == length && is_lower_hex(part));
        let (version, trace_id, span_id, _flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        // Later versions may append, after one more dash; `ff` will never be one.
        let is_whole = match version {
            "00" => more.is_empty(),
            "ff" => false,
            _ => more.is_empty() || more.starts_with('-'),
        };
        let is_set = |id: &str| id.bytes().any(|digit| digit != b'0');
        (is_whole && is_set(trace_id) && is_set(span_id)).then_some(Self { trace_id, span_id })
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn reads_what_the_specification_allows() {
        for text in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what the future brings",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        ] {
            assert_eq!(Parent::parse(text), Some(Parent { trace_id: TRACE, span_id: SPAN }), "{text}");
        }
    }

    #[test]
    fn takes_nothing_from_what_it_does_not_allow() {
        for text in [
            "",
            "00",
            // Too short, too long, another version that goes on without a dash, and the one that is none.
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            // Not lower-case hexadecimal, in each part.
            "0A-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            // Ids of zeros.
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            // Other separators, other lengths, and the right length of something else.
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "000-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7é",
            "äääääääääääääääääääääääääääääääääääääääää",
        ] {
            assert_eq!(Parent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn believes_no_two_headers() {
        let value = HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let mut headers = HeaderMap::new();
        assert_eq!(Parent::header(&headers), None);
        headers.append(HEADER, value.clone());
        let sent = Parent::header(&headers);
        assert_eq!(sent.as_deref().and_then(Parent::parse), Some(Parent { trace_id: TRACE, span_id: SPAN }));
        headers.append(HEADER, value);
        assert_eq!(Parent::header(&headers), None);
        headers.insert(HEADER, HeaderValue::from_bytes(b"00-\xff").expect("a header"));
        assert_eq!(Parent::header(&headers), None);
    }
}
